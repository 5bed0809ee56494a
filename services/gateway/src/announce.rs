//! Tells every socket when the cluster changes.

use std::sync::Arc;

use tokio::time::{Instant, sleep, sleep_until};

use crate::app::App;
use crate::frames::{Cluster, ServerFrame};
use crate::limits::{CLUSTER_FRAME_INTERVAL, CLUSTER_SLOTS_INTERVAL};
use crate::socket::outbox::serialise;

/// Runs until the gateway ends.
pub(crate) async fn run(app: Arc<App>) {
    let mut view = app.cluster.watch();
    let mut told: Option<Cluster> = None;
    let mut slots_told = Instant::now();
    loop {
        let now = view.borrow_and_update().frame(&app.options);
        let changed = told.as_ref().map(without_uptime) != Some(without_uptime(&now));
        let matters = told.as_ref().map(without_slots) != Some(without_slots(&now));
        let slots_due = slots_told + CLUSTER_SLOTS_INTERVAL;
        if matters || changed && Instant::now() >= slots_due {
            if let Some(text) = serialise(&ServerFrame::Cluster(now.clone())) {
                app.hub.broadcast_cluster(&text);
            }
            told = Some(now);
            slots_told = Instant::now();
            sleep(CLUSTER_FRAME_INTERVAL).await;
            continue;
        }
        tokio::select! {
            change = view.changed() => if change.is_err() { return },
            () = sleep_until(slots_due), if changed => {}
        }
    }
}

/// Slots move with each message; nobody needs each of these moves.
fn without_slots(cluster: &Cluster) -> Cluster {
    let mut cluster = cluster.clone();
    for replica in &mut cluster.replicas {
        (replica.decided, replica.applied, replica.lag) = (None, None, None);
        (replica.uptime_ms, replica.log_bytes, replica.disk_us) = (None, None, None);
    }
    cluster
}

/// Time alone is no news: whoever wants it asks for it.
fn without_uptime(cluster: &Cluster) -> Cluster {
    let mut cluster = cluster.clone();
    for replica in &mut cluster.replicas {
        replica.uptime_ms = None;
    }
    cluster
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{Replica, Role};
    use crate::ids::{NodeId, Slot};

    fn cluster(decided: u64, uptime_ms: u64) -> Cluster {
        Cluster {
            cluster: "test".to_owned(),
            shard: 0,
            quorum: true,
            leader: None,
            voters: 1,
            up: 1,
            epoch: 1,
            replicas: vec![Replica {
                node: NodeId(1),
                name: "r1".to_owned(),
                role: Role::Follower,
                ballot: None,
                decided: Some(Slot(decided)),
                applied: None,
                lag: None,
                uptime_ms: Some(uptime_ms),
                log_bytes: None,
                disk_us: None,
                suspected: false,
            }],
            membership: true,
            gateway: "g1".to_owned(),
            demo: false,
        }
    }

    /// An idle cluster must not send a frame to every socket just because time passes.
    #[test]
    fn time_alone_is_no_news() {
        let [before, later, moved] = [cluster(7, 1), cluster(7, 2), cluster(8, 2)];
        assert_eq!(without_uptime(&before), without_uptime(&later));
        assert_ne!(without_uptime(&before), without_uptime(&moved));
        assert_eq!(without_slots(&before), without_slots(&moved));
    }
}
