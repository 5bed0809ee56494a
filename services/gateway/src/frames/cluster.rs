//! The cluster as one gateway sees it: the chip, the panel and the first screen show it.

use serde::{Deserialize, Serialize};

use crate::ids::{NodeId, Slot};

/// What a replica is at the moment, as far as this gateway knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It orders.
    Leader,
    /// It follows a leader, or looks for one.
    Follower,
    /// It tries to become the leader.
    Candidate,
    /// It does not answer this gateway.
    Unreachable,
}

/// One replica of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Replica {
    /// Its number.
    pub node: NodeId,
    /// Its name for people.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// The ballot it promised: `round.node`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub ballot: Option<String>,
    /// Its commit index.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub decided: Option<Slot>,
    /// How far its state machine has come.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub applied: Option<Slot>,
    /// How many slots it is behind the highest commit index known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional, type = "number"))]
    pub lag: Option<u64>,
    /// Milliseconds since its process began.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional, type = "number"))]
    pub uptime_ms: Option<u64>,
    /// Bytes of its log on disk.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional, type = "number"))]
    pub log_bytes: Option<u64>,
    /// Microseconds that its disk takes to keep a write to the log, smoothed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional, type = "number"))]
    pub disk_us: Option<u64>,
    /// Whether the membership service has not heard it.
    pub suspected: bool,
}

/// The cluster as this gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Cluster {
    /// The operator's name for it.
    pub cluster: String,
    /// Which Paxos group.
    pub shard: u32,
    /// Whether a message sent now can be committed.
    pub quorum: bool,
    /// Who leads.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, ts(optional))]
    pub leader: Option<NodeId>,
    /// How many replicas vote.
    pub voters: u32,
    /// How many of them answer this gateway.
    pub up: u32,
    /// The configuration's number.
    #[cfg_attr(test, ts(type = "number"))]
    pub epoch: u64,
    /// Each replica, by number.
    pub replicas: Vec<Replica>,
    /// Whether the membership service answers.
    pub membership: bool,
    /// The name of this gateway.
    pub gateway: String,
    /// Whether admins may break replicas on purpose.
    #[serde(default)]
    pub demo: bool,
}
