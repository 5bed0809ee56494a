//! Breaks this replica on purpose, where the setting `demo` allows it.

use std::sync::Arc;
use std::time::Duration;

use proto::v1::break_request::Fault;
use proto::v1::demo_server;
use proto::v1::{BreakRequest, BreakResponse};
use tonic::{Request, Response, Status};

use crate::demo::{self, LONGEST};
use crate::errors::Refused;
use crate::role::Shared;

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct Demo(pub(crate) Arc<Shared>);

#[tonic::async_trait]
impl demo_server::Demo for Demo {
    async fn r#break(
        &self,
        request: Request<BreakRequest>,
    ) -> Result<Response<BreakResponse>, Status> {
        let request = request.into_inner();
        let (fault, how_long) = (
            request.fault(),
            Duration::from_millis(request.for_ms.into()),
        );
        if fault != Fault::Kill && (how_long.is_zero() || how_long > LONGEST) {
            let words = format!(
                "for_ms is {}: 1 to {} are possible",
                request.for_ms,
                LONGEST.as_millis()
            );
            return Err(Refused::Bad(words).into());
        }
        match fault {
            Fault::Kill => demo::Demo::kill(),
            Fault::Pause => self.0.demo.pause(how_long),
            Fault::CutOff => self.0.demo.cut_off(how_long),
            Fault::Unspecified => {
                return Err(Refused::Bad("fault: kill, pause or cut off".to_owned()).into());
            }
        }
        tracing::warn!(?fault, ?how_long, "somebody pressed a button of the demo");
        Ok(Response::new(BreakResponse {}))
    }
}
