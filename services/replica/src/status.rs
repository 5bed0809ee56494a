//! What a replica says of itself to people.

use std::path::Path;

use paxos::status::{RoleName, Status};
use proto::v1 as pb;
use proto::v1::get_status_response::Phase;

use crate::role::{Member, Shared, Stage};
use crate::wire;

/// Before it takes part, or when it must not.
pub(crate) fn outside(shared: &Shared) -> pb::GetStatusResponse {
    let identity = shared.identity();
    let genesis = identity
        .as_ref()
        .and_then(|identity| identity.genesis.as_ref());
    let (mut why, mut remedy) = (String::new(), "");
    let phase = match shared.stage() {
        Stage::Unformed(_) => Phase::Unformed,
        Stage::Starting | Stage::Member(_) => Phase::Starting,
        Stage::Restoring(words) => {
            words.as_ref().clone_into(&mut why);
            Phase::Restoring
        }
        Stage::Quarantined(found) => {
            why.clone_from(&found.why);
            remedy = found.remedy;
            Phase::Quarantined
        }
    };
    pb::GetStatusResponse {
        cluster_id: genesis
            .map(|genesis| genesis.cluster_id.to_string())
            .unwrap_or_default(),
        cluster_name: genesis
            .map(|genesis| genesis.cluster_name.clone())
            .unwrap_or_default(),
        node: genesis.map_or(0, |genesis| genesis.node_id.0),
        disk_id: identity
            .as_ref()
            .map(|identity| identity.disk_id.to_string())
            .unwrap_or_default(),
        phase: or_stopping(shared, phase).into(),
        uptime_ms: shared.uptime_ms(),
        log_bytes: bytes_of(shared.data(), "log.db"),
        state_bytes: bytes_of(shared.data(), "state.db"),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        why,
        remedy: remedy.to_owned(),
        client_epoch: shared
            .genesis()
            .map_or(0, |genesis| genesis.client_epoch.max(1)),
        ..pb::GetStatusResponse::default()
    }
}

/// Of a member, as of this call.
pub(crate) async fn member(shared: &Shared, member: &Member) -> pb::GetStatusResponse {
    let status = member.driver.status_now().await;
    let configuration = &status.configuration;
    pb::GetStatusResponse {
        cluster_id: member.cluster.cluster_id.to_string(),
        cluster_name: member.cluster.cluster_name.clone(),
        shard: member.cluster.shard,
        node: status.node.0,
        disk_id: member.cluster.disk_id.to_string(),
        phase: or_stopping(shared, Phase::Member).into(),
        role: role(&status).to_owned(),
        ballot: wire::ballot(status.promised),
        leader: status.leader.map_or(0, |node| node.0),
        epoch: configuration.epoch.0,
        voters: configuration.voters.iter().map(|node| node.0).collect(),
        decided: status.decided.0,
        applied: member.signals.applied().0,
        chain: status.chain.0.to_vec(),
        undecided_slots: status.undecided_slots,
        quorum_connected: status.quorum_connected,
        peers: peers(member, &status),
        uptime_ms: shared.uptime_ms(),
        log_bytes: bytes_of(shared.data(), "log.db"),
        state_bytes: bytes_of(shared.data(), "state.db"),
        commit_latency_us: member.signals.commit_us(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        learners: learners(member, &status),
        voter: status.is_voter,
        admitted: status.admitted,
        damaged_slots: status.damaged_slots,
        no_space: status.no_space,
        compacted_to: status.compacted_to.0,
        why: String::new(),
        remedy: String::new(),
        epoch_ready: status.ready,
        client_epoch: member.cluster.client_epoch(),
    }
}

fn peers(member: &Member, status: &Status) -> Vec<pb::PeerStatus> {
    let peer = |(node, known): (&paxos::NodeId, &paxos::PeerStatus)| pb::PeerStatus {
        node: node.0,
        address: member.directory.address_of(*node).unwrap_or_default(),
        heard: known.heard,
        decided: known.decided.0,
        connected: member.peers.is_open(*node),
        no_space: known.no_space,
    };
    status.peers.iter().map(peer).collect()
}

fn learners(member: &Member, status: &Status) -> Vec<pb::LearnerStatus> {
    let now = member.now();
    let learner =
        |(node, known): (&paxos::NodeId, &paxos::status::LearnerStatus)| pb::LearnerStatus {
            node: node.0,
            address: member.directory.address_of(*node).unwrap_or_default(),
            decided: known.decided.0,
            last_heard_ms: now.since(known.last_heard),
        };
    status.learners.iter().map(learner).collect()
}

fn or_stopping(shared: &Shared, otherwise: Phase) -> Phase {
    if shared.stopping.is_cancelled() {
        Phase::Stopping
    } else {
        otherwise
    }
}

/// What it does, for people; a node that does not vote only learns.
const fn role(status: &Status) -> &'static str {
    match status.role {
        _ if !status.is_voter => "learner",
        RoleName::Follower => "follower",
        RoleName::Candidate => "candidate",
        RoleName::Leader => "leader",
    }
}

/// The size of a database and its write-ahead log.
pub(crate) fn bytes_of(data: &Path, name: &str) -> u64 {
    let size = |name: &str| std::fs::metadata(data.join(name)).map_or(0, |file| file.len());
    size(name) + size(&format!("{name}-wal"))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use super::{RoleName, Status};
    use paxos::Core;
    use paxos::config::Configuration;
    use paxos::ids::{Millis, NodeId};
    use paxos::restored::{Options, Restored};

    /// Of a new node 1 of three.
    pub(crate) fn status() -> Status {
        let voters: BTreeSet<NodeId> = (1..=3).map(NodeId).collect();
        let options = Options {
            node: NodeId(1),
            configuration: Configuration::first(voters),
            seed: 1,
        };
        Core::new(options, Restored::empty(), Millis(0)).status()
    }

    #[test]
    fn a_node_that_does_not_vote_learns() {
        let mut status = status();
        assert_eq!(super::role(&status), "follower");
        status.role = RoleName::Leader;
        assert_eq!(super::role(&status), "leader");
        status.is_voter = false;
        assert_eq!(super::role(&status), "learner");
    }
}
