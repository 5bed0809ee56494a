//! Judges what clients were told and what nodes hold: the claims C1 to C7.
//!
//! In: the history of each client (what it sent, what it was told, what it was shown, each with
//! a time of one monotonic clock), the log of each node, a hash of each node's state, and the
//! times in which a majority was certainly dead. Out: figures, and every claim that did not
//! hold, with the places where it is seen.
//!
//! Nothing here knows how the product works. What is judged is what a person could see, and
//! what an operator can read.
//!
//! Must hold: a history that lacks evidence is a violation ([`Kind::Incomplete`]), not a pass.

// What is recorded, and where it lies.
pub mod event;
pub mod folder;
pub mod log;
pub mod recorder;

pub mod limits;
pub mod synthetic;

// What is concluded from it.
mod changes;
mod facts;
mod judges;
mod session;

// What is said about it.
mod report;
mod violation;

pub use event::{ChangeRow, Event, Line, Marker, MessageRow, Range, Row, digest};
pub use facts::Checker;
pub use folder::{Outage, check};
pub use log::{CommandId, LogRow, NodeLog, NodeState, keep_node};
pub use recorder::{Clock, Recorder};
pub use report::{Figures, Report};
pub use violation::{Kind, Violation};
