//! The buttons of a demo: an admin breaks a replica on purpose, and everybody sees what becomes
//! of it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use proto::v1::BreakRequest;
use proto::v1::break_request::Fault;
use proto::v1::demo_client::DemoClient;
use tokio::time::timeout;

use crate::app::App;
use crate::errors::Error;
use crate::frames::{AccountRole, BreakReplica, DemoFault, ErrorCode};
use crate::http::{Body, Caller, OurOrigin};
use crate::ids::NodeId;

/// How long a replica is away: long enough to be missed, too short to be replaced.
const HOW_LONG: Duration = Duration::from_secs(8);
/// Whoever presses a button wants to see something.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// `POST /api/v1/demo/{node}`.
pub(crate) async fn break_replica(
    State(app): State<Arc<App>>,
    _: OurOrigin,
    Caller(caller): Caller,
    Path(node): Path<String>,
    Body(BreakReplica { fault }): Body<BreakReplica>,
) -> Result<StatusCode, Error> {
    if !app.options.demo {
        let words = "this is no demo: the setting demo is off";
        return Err(Error::new(ErrorCode::NotFound, words));
    }
    if !matches!(caller.person.role, AccountRole::Owner | AccountRole::Admin) {
        let words = "owners and admins may break replicas";
        return Err(Error::new(ErrorCode::Forbidden, words));
    }
    let nobody = || Error::new(ErrorCode::NotFound, "there is no such replica");
    let id = NodeId(node.parse().map_err(|_| nobody())?);
    let view = app.cluster.view();
    let address = &view.node(id).ok_or_else(nobody)?.address;
    let channel = app.channels.get(address).ok_or_else(nobody)?.unary;
    let fault = match fault {
        DemoFault::Kill => Fault::Kill,
        DemoFault::Pause => Fault::Pause,
        DemoFault::CutOff => Fault::CutOff,
    };
    let request = BreakRequest {
        fault: fault.into(),
        for_ms: u32::try_from(HOW_LONG.as_millis()).unwrap_or(u32::MAX),
    };
    let mut demo = DemoClient::new(channel);
    let refused = |why: &str| Error::bad_request(format!("r{id}: {why}"));
    timeout(ANSWER_WITHIN, demo.r#break(request))
        .await
        .map_err(|_| refused("it does not answer"))?
        .map_err(|status| refused(status.message()))?;
    tracing::warn!(
        person = caller.person.id.0,
        node = id.0,
        ?fault,
        "a button of the demo"
    );
    Ok(StatusCode::NO_CONTENT)
}
