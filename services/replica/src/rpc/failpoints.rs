//! Points at which a test stops this process, set from outside.

use proto::v1::failpoints_server;
use proto::v1::{SetFailpointRequest, SetFailpointResponse};
use tonic::{Request, Response, Status};

use crate::errors::Refused;

/// The service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failpoints;

#[tonic::async_trait]
impl failpoints_server::Failpoints for Failpoints {
    async fn set(
        &self,
        request: Request<SetFailpointRequest>,
    ) -> Result<Response<SetFailpointResponse>, Status> {
        let SetFailpointRequest { name, actions } = request.into_inner();
        fail::cfg(name.clone(), &actions).map_err(Refused::Bad)?;
        tracing::warn!(name, actions, "failpoint set");
        Ok(Response::new(SetFailpointResponse {}))
    }
}
