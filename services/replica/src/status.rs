//! What a replica says of itself to people.

use std::path::Path;

use paxos::status::RoleName;
use proto::v1 as pb;
use proto::v1::get_status_response::Phase;

use crate::role::{Member, Shared};
use crate::wire;

/// Before there is a cluster, or while the log is replayed.
pub(crate) fn unformed(shared: &Shared) -> pb::GetStatusResponse {
    let identity = shared.identity();
    let genesis = identity.genesis.as_ref();
    pb::GetStatusResponse {
        cluster_id: genesis
            .map(|genesis| genesis.cluster_id.to_string())
            .unwrap_or_default(),
        cluster_name: genesis
            .map(|genesis| genesis.cluster_name.clone())
            .unwrap_or_default(),
        node: genesis.map_or(0, |genesis| genesis.node_id.0),
        disk_id: identity.disk_id.to_string(),
        phase: phase(shared, Phase::Unformed).into(),
        uptime_ms: shared.uptime_ms(),
        log_bytes: bytes_of(shared.data(), "log.db"),
        state_bytes: bytes_of(shared.data(), "state.db"),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..pb::GetStatusResponse::default()
    }
}

/// Of a member, as of this call.
pub(crate) async fn member(shared: &Shared, member: &Member) -> pb::GetStatusResponse {
    let status = member.driver.status_now().await;
    let peers = member.peers.iter().map(|peer| {
        let known = status.peers.get(&peer.node);
        pb::PeerStatus {
            node: peer.node.0,
            address: peer.address(),
            heard: known.is_some_and(|known| known.heard),
            decided: known.map_or(0, |known| known.decided.0),
            connected: peer.outbox.is_open(),
        }
    });
    pb::GetStatusResponse {
        cluster_id: member.cluster.cluster_id.to_string(),
        cluster_name: member.cluster.cluster_name.clone(),
        shard: member.cluster.shard,
        node: status.node.0,
        disk_id: member.cluster.disk_id.to_string(),
        phase: phase(shared, Phase::Member).into(),
        role: role(status.role).to_owned(),
        ballot: wire::ballot(status.promised),
        leader: status.leader.map_or(0, |node| node.0),
        epoch: status.epoch.0,
        voters: member.cluster.voters.keys().map(|node| node.0).collect(),
        decided: status.decided.0,
        applied: member.signals.applied().0,
        chain: status.chain.0.to_vec(),
        undecided_slots: status.undecided_slots,
        quorum_connected: status.quorum_connected,
        peers: peers.collect(),
        uptime_ms: shared.uptime_ms(),
        log_bytes: bytes_of(shared.data(), "log.db"),
        state_bytes: bytes_of(shared.data(), "state.db"),
        commit_latency_us: member.signals.commit_us(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn phase(shared: &Shared, otherwise: Phase) -> Phase {
    if shared.stopping.is_cancelled() {
        Phase::Stopping
    } else {
        otherwise
    }
}

const fn role(role: RoleName) -> &'static str {
    match role {
        RoleName::Follower => "follower",
        RoleName::Candidate => "candidate",
        RoleName::Leader => "leader",
    }
}

/// The size of a database and its write-ahead log.
fn bytes_of(data: &Path, name: &str) -> u64 {
    let size = |name: &str| std::fs::metadata(data.join(name)).map_or(0, |file| file.len());
    size(name) + size(&format!("{name}-wal"))
}
