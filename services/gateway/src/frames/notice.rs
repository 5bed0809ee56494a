//! What the room of the cluster tells, as data: the page has the words.

use serde::{Deserialize, Serialize};

use crate::ids::NodeId;

/// Something that happened to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Notice {
    /// A leader has begun.
    Elected {
        /// Who leads.
        node: NodeId,
        /// Its ballot: `round.node`.
        ballot: String,
        /// The configuration's number.
        #[cfg_attr(test, ts(type = "number"))]
        epoch: u64,
        /// Who led before.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional))]
        previous: Option<NodeId>,
        /// Milliseconds from the last sign of life of the leader before until this one took
        /// messages.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional, type = "number"))]
        gap_ms: Option<u64>,
    },
    /// The leader does not hear a voter.
    Silent {
        /// Which.
        node: NodeId,
        /// For how long, in milliseconds.
        #[cfg_attr(test, ts(type = "number"))]
        for_ms: u64,
    },
    /// The leader hears a voter again.
    Heard {
        /// Which.
        node: NodeId,
        /// How long it was silent, in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        #[cfg_attr(test, ts(optional, type = "number"))]
        after_ms: Option<u64>,
    },
    /// Other replicas vote.
    Voters {
        /// The configuration's number.
        #[cfg_attr(test, ts(type = "number"))]
        epoch: u64,
        /// All that vote now.
        voters: Vec<NodeId>,
        /// Those that did not before.
        added: Vec<NodeId>,
        /// Those that do not any more.
        removed: Vec<NodeId>,
    },
}
