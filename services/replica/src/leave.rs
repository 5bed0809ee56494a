//! The way out: a leader that is told to stop hands the lead over first, so that nobody waits for
//! an election.
//!
//! In: the signal. Out: [`Shared::stopping`]. Must hold: it takes no longer than
//! [`HAND_OVER_WAIT`]; until it is over this replica does all its work. Tests: tests/scenarios
//! (restart).

use std::sync::Arc;

use ops::shutdown::Token;
use paxos::ids::NodeId;
use paxos::status::{RoleName, Status};
use tokio::time::{Instant, sleep, timeout};

use crate::limits::{HAND_OVER_LOOK, HAND_OVER_WAIT};
use crate::role::{Member, Shared, Stage};

/// Waits until the process is told to stop, hands over, and has everything stop.
pub(crate) async fn leave(shared: Arc<Shared>, told: Token) {
    told.cancelled().await;
    if let Stage::Member(member) = shared.stage()
        && timeout(HAND_OVER_WAIT, hand_over(&member)).await.is_err()
    {
        tracing::info!("nobody took the lead over in time; the others elect one");
    }
    shared.stopping.cancel();
}

/// Returns when somebody else leads, or nobody can.
async fn hand_over(member: &Member) {
    let began = Instant::now();
    loop {
        let status = member.driver.status_now().await;
        if status.role != RoleName::Leader {
            if began.elapsed() > HAND_OVER_LOOK {
                tracing::info!(to = ?status.leader, "handed the lead over");
            }
            return;
        }
        let Some(to) = successor(&status) else {
            return;
        };
        // Again, if it was lost; while one is under way the core does not take another.
        if member.driver.transfer(to).is_err() {
            return;
        }
        sleep(HAND_OVER_LOOK).await;
    }
}

/// The voter that is heard, has room on its disk, and has the most.
fn successor(status: &Status) -> Option<NodeId> {
    let fit = |(node, peer): (&NodeId, &paxos::status::PeerStatus)| {
        (peer.heard && !peer.no_space).then_some((peer.upto, *node))
    };
    let fittest = status.peers.iter().filter_map(fit).max();
    fittest
        .map(|(_, node)| node)
        .filter(|_| status.quorum_connected)
}
