//! What the standard gRPC health service says.

use std::sync::Arc;

use paxos::ids::Slot;
use proto::v1::admin_server::AdminServer;
use proto::v1::chat_server::ChatServer;
use proto::v1::peer_server::PeerServer;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthReporter;

use crate::limits::{HEALTH_EVERY, HEALTH_LAG_SLOTS_MAX};
use crate::logs::Seldom;
use crate::role::{Member, Shared};
use crate::rpc::{Admin, Chat, Peer};

/// Nothing is served yet, or any more.
const NOTHING: Health = Health {
    replica: false,
    chat: false,
    peer: false,
};

/// What is served now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Health {
    /// The replica as a whole, "".
    replica: bool,
    /// Clients.
    chat: bool,
    /// Other replicas.
    peer: bool,
}

/// The health service, which says from its first answer on that nothing is served: by itself it
/// begins with the opposite.
pub(crate) async fn start(
    shared: &Arc<Shared>,
) -> HealthServer<impl tonic_health::pb::health_server::Health + use<>> {
    let (reporter, service) = tonic_health::server::health_reporter();
    tell(&reporter, NOTHING).await;
    tokio::spawn(watch(Arc::clone(shared), reporter));
    service
}

/// Keeps the health service up to date until the process stops, and says then that it does.
async fn watch(shared: Arc<Shared>, reporter: HealthReporter) {
    let mut seldom = Seldom::default();
    let mut before = NOTHING;
    loop {
        let now = look(&shared, &mut seldom);
        if before != now {
            before = now;
            tell(&reporter, now).await;
        }
        tokio::select! {
            () = tokio::time::sleep(HEALTH_EVERY) => {}
            () = shared.stopping.cancelled() => {
                tell(&reporter, NOTHING).await;
                return;
            }
        }
    }
}

async fn tell(reporter: &HealthReporter, health: Health) {
    let status = |serving| {
        if serving {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        }
    };
    let Health {
        replica,
        chat,
        peer,
    } = health;
    reporter.set_service_status("", status(replica)).await;
    reporter
        .set_service_status(ChatServer::<Chat>::NAME, status(chat))
        .await;
    reporter
        .set_service_status(PeerServer::<Peer>::NAME, status(peer))
        .await;
    // An operator is answered in every state.
    reporter
        .set_service_status(AdminServer::<Admin>::NAME, ServingStatus::Serving)
        .await;
}

fn look(shared: &Shared, seldom: &mut Seldom) -> Health {
    let Ok(member) = shared.member() else {
        return NOTHING;
    };
    let status = member.driver.status();
    let informed = status.leader.is_some() || status.decided > Slot::GENESIS;
    let replica = informed && shared.foreign().is_none();
    let lags = lags(&member, seldom);
    Health {
        replica,
        chat: replica && !lags,
        peer: true,
    }
}

/// Whether clients are better served elsewhere until this replica has caught up.
fn lags(member: &Member, seldom: &mut Seldom) -> bool {
    let status = member.driver.status();
    let applied = member.signals.applied();
    let told = status.peers.values().map(|peer| peer.decided).max();
    let known = told.unwrap_or(status.decided).max(status.decided);
    let lag = known.distance_above(applied);
    let lags = lag > HEALTH_LAG_SLOTS_MAX;
    if lags && seldom.due() {
        tracing::warn!(%applied, decided = %known, lag, "this replica lags and is catching up");
    }
    if !lags {
        seldom.reset();
    }
    lags
}
