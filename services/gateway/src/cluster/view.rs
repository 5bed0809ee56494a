//! What the gateway knows of the cluster at one moment.

use proto::v1::GetStatusResponse;
use proto::v1::get_status_response::Phase;

use crate::config::Options;
use crate::frames::{Cluster, Replica, Role};
use crate::ids::{NodeId, Slot};

use super::SHARD;

/// One replica as it was last heard.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// host:port.
    pub(crate) address: String,
    /// Its number; 0 while it has none.
    pub(crate) id: NodeId,
    /// What membership thinks.
    pub(crate) suspected: bool,
    /// What it said of itself; `None` when it does not answer or belongs to another cluster.
    pub(crate) status: Option<GetStatusResponse>,
}

impl Node {
    fn leads(&self) -> Option<(u64, u64, u64)> {
        let status = self.status.as_ref()?;
        let ballot = status.ballot.unwrap_or_default();
        (status.role == "leader").then_some((ballot.epoch, ballot.round, ballot.node))
    }

    fn quorum(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.quorum_connected)
    }

    /// Whether it can serve reads and its log.
    pub(crate) fn serves(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.phase() == Phase::Member)
    }

    /// How far its state machine has come.
    pub(crate) fn applied(&self) -> Slot {
        Slot(self.status.as_ref().map_or(0, |status| status.applied))
    }
}

/// The cluster as this gateway sees it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The id made at formation; empty until known.
    pub(crate) cluster_id: String,
    /// Higher in a cluster that was made from a backup than in the one before it.
    pub(crate) client_epoch: u64,
    /// The operator's name.
    pub(crate) name: String,
    /// Whether membership answered the last time.
    pub(crate) membership: bool,
    /// What a cluster that is not formed waits for, in membership's words.
    pub(crate) waiting_for: String,
    /// By number.
    pub(crate) nodes: Vec<Node>,
}

impl View {
    pub(super) fn empty() -> Self {
        Self {
            cluster_id: String::new(),
            client_epoch: 1,
            name: String::new(),
            membership: false,
            waiting_for: "the membership service to answer".to_owned(),
            nodes: Vec::new(),
        }
    }

    /// Who leads: of those who say so, one with a quorum before one without, and the highest
    /// ballot among equals, for an overtaken leader may not know it yet.
    pub(crate) fn leader(&self) -> Option<&Node> {
        self.nodes
            .iter()
            .filter_map(|node| Some(((node.quorum(), node.leads()?), node)))
            .max_by_key(|(rank, _)| *rank)
            .map(|(_, node)| node)
    }

    /// Who leads with a majority: where commands go.
    pub(crate) fn quorum_leader(&self) -> Option<&Node> {
        self.leader().filter(|node| node.quorum())
    }

    /// Whether a command sent now can be committed.
    pub(crate) fn quorum(&self) -> bool {
        self.quorum_leader().is_some()
    }

    /// The replica of that number.
    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// The highest slot that any replica is known to have applied.
    pub(crate) fn applied(&self) -> Slot {
        self.nodes
            .iter()
            .map(Node::applied)
            .max()
            .unwrap_or_default()
    }

    /// The configuration's number, as the newest replica has it.
    fn epoch(&self) -> u64 {
        let statuses = self.nodes.iter().filter_map(|node| node.status.as_ref());
        statuses.map(|status| status.epoch).max().unwrap_or(0)
    }

    /// As clients see it: no addresses.
    pub(crate) fn frame(&self, options: &Options) -> Cluster {
        let statuses = || self.nodes.iter().filter_map(|node| node.status.as_ref());
        let decided = statuses().map(|status| status.decided).max().unwrap_or(0);
        let voters = statuses()
            .max_by_key(|status| status.epoch)
            .map(|status| &status.voters);
        let votes = |node: &&Node| voters.is_none_or(|voters| voters.contains(&node.id.0));
        let named = || self.nodes.iter().filter(|node| node.id.0 > 0);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Cluster {
            cluster: self.name.clone(),
            shard: SHARD,
            quorum: self.quorum(),
            leader: self.leader().map(|node| node.id),
            voters: count(voters.map_or_else(|| named().count(), Vec::len)),
            up: count(named().filter(votes).filter(|node| node.serves()).count()),
            epoch: self.epoch(),
            replicas: named().map(|node| replica(node, decided)).collect(),
            membership: self.membership,
            gateway: options.name.clone(),
            demo: options.demo,
        }
    }
}

fn replica(node: &Node, decided: u64) -> Replica {
    let status = node.status.as_ref();
    let role = match status.map(|status| status.role.as_str()) {
        None => Role::Unreachable,
        Some("leader") => Role::Leader,
        Some("candidate") => Role::Candidate,
        Some(_) => Role::Follower,
    };
    Replica {
        node: node.id,
        name: format!("r{}", node.id),
        role,
        ballot: status
            .and_then(|status| status.ballot.as_ref())
            .map(|ballot| format!("{}.{}", ballot.round, ballot.node)),
        decided: status.map(|status| Slot(status.decided)),
        applied: status.map(|status| Slot(status.applied)),
        lag: status.map(|status| decided.saturating_sub(status.applied)),
        uptime_ms: status.map(|status| status.uptime_ms),
        log_bytes: status.map(|status| status.log_bytes),
        disk_us: status
            .map(|status| status.commit_latency_us)
            .filter(|us| *us > 0),
        suspected: node.suspected,
    }
}

#[cfg(test)]
mod tests {
    use proto::v1::Ballot;

    use super::*;

    fn g1() -> Options {
        Options {
            name: "g1".to_owned(),
            ..Options::default()
        }
    }

    fn node(id: u64, role: &str, round: u64, quorum: bool) -> Node {
        Node {
            address: format!("h:{id}"),
            id: NodeId(id),
            suspected: false,
            status: Some(GetStatusResponse {
                node: id,
                role: role.to_owned(),
                phase: Phase::Member.into(),
                ballot: Some(Ballot {
                    epoch: 1,
                    round,
                    node: id,
                }),
                quorum_connected: quorum,
                voters: vec![1, 2, 3],
                decided: 10 + id,
                applied: 10,
                uptime_ms: 5_000,
                log_bytes: 4_096,
                commit_latency_us: id * 100,
                ..GetStatusResponse::default()
            }),
        }
    }

    fn view(nodes: Vec<Node>) -> View {
        View {
            nodes,
            ..View::empty()
        }
    }

    #[test]
    fn an_overtaken_leader_loses_against_the_higher_ballot_and_against_a_quorum() {
        let two = view(vec![node(1, "leader", 3, true), node(2, "leader", 4, true)]);
        assert_eq!(two.quorum_leader().map(|node| node.id), Some(NodeId(2)));
        let cut_off = view(vec![
            node(1, "leader", 3, true),
            node(2, "leader", 4, false),
        ]);
        assert_eq!(cut_off.quorum_leader().map(|node| node.id), Some(NodeId(1)));
    }

    #[test]
    fn a_leader_without_a_majority_is_shown_and_gives_no_quorum() {
        let view = view(vec![
            node(1, "leader", 3, false),
            node(2, "follower", 3, true),
        ]);
        let frame = view.frame(&g1());
        assert_eq!((frame.leader, frame.quorum), (Some(NodeId(1)), false));
        assert_eq!((frame.voters, frame.up), (3, 2));
        assert_eq!(frame.replicas[0].lag, Some(2));
        assert_eq!(frame.replicas[0].ballot.as_deref(), Some("3.1"));
    }

    #[test]
    fn what_a_replica_says_of_itself_is_shown_and_what_it_never_measured_is_not() {
        let mut idle = node(2, "follower", 3, true);
        if let Some(status) = &mut idle.status {
            status.commit_latency_us = 0;
        }
        let frame = view(vec![node(1, "leader", 3, true), idle]).frame(&g1());
        let shown = |at: usize| {
            let replica = &frame.replicas[at];
            (replica.uptime_ms, replica.log_bytes, replica.disk_us)
        };
        assert_eq!(shown(0), (Some(5_000), Some(4_096), Some(100)));
        assert_eq!(shown(1), (Some(5_000), Some(4_096), None));
    }

    #[test]
    fn silent_replicas_are_unreachable_and_make_no_quorum() {
        let mut silent = node(1, "leader", 3, true);
        silent.status = None;
        let frame = view(vec![silent, node(2, "follower", 3, false)]).frame(&g1());
        assert_eq!(frame.replicas[0].role, Role::Unreachable);
        assert_eq!((frame.quorum, frame.leader, frame.up), (false, None, 1));
    }
}
