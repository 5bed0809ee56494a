//! The learner: a deterministic chat state machine on `state.db`.
//!
//! `state = f(log)`: nothing here reads a clock, draws a random number or depends on the order
//! of an unordered collection. What a replica must keep to:
//!
//! 1. One [`Machine`] per file, in one thread, applies entries in slot order, each once. Only
//!    entries that are decided **and** durable in log.db (rule D5).
//! 2. An answer leaves the replica after [`Machine::apply`] or [`Machine::advance`] returned. After
//!    the latter, whoever reads because of an answer waits for [`Machine::commit`].
//! 3. An [`Error`] means stop. No entry is ever skipped, and no call applied in part.
//! 4. Before log rows at or below a slot are deleted, [`Flusher::sync`] has returned that was called
//!    after a [`Machine::commit`] of that slot, or [`Machine::checkpoint_durable`].
//! 5. A leader proposes only commands that it [`understands`], in the form of [`encode_batch`],
//!    and nodes in the form of [`encode_register_node`]. It names only voters in a `Seal` that
//!    [`Reader::unknown_nodes`] does not return: the state does not judge a chosen seal.
//! 6. A file for which [`Error::is_replaceable`] holds is moved away ([`snapshot::set_aside`]); the
//!    log, or another replica's [`snapshot`], makes a new one.
//!
//! Any number of [`Reader`]s read beside the machine; each sees whole `apply` calls only.

mod error;
mod flusher;
mod ids;
pub mod limits;
mod machine;
// The apply path, from the entry to the rows.
mod accounts;
mod apply;
mod cache;
mod changes;
mod dedupe;
mod direct;
mod epochs;
mod events;
mod hot;
mod invitations;
mod kinds;
mod manage;
mod markers;
mod mentions;
mod names;
mod nodes;
mod notices;
mod profiles;
mod refusal;
mod roles;
mod rooms;
mod senders;
mod sessions;
mod wishes;
// The read path.
mod directory;
mod hash;
mod history;
mod pinned;
mod query;
mod replay;
mod rows;
mod states;
// The file, what may be wrong with it, and copies of it.
mod checksum;
mod damage;
mod migrate;
mod schema;
// Derived from the state, beside it.
pub mod search;
pub mod snapshot;
mod tables;

pub use apply::{encode_batch, understands};
pub use damage::CheckFrom;
pub use directory::{Credentials, PersonInfo, Profile, SessionInfo, Settings, Who};
pub use error::Error;
pub use flusher::Flusher;
pub use hash::StateHash;
pub use history::{History, HistoryRange};
pub use ids::{RoomId, SenderSessionId, Seq, UserId};
pub use machine::{Applied, AppliedEntry, Machine};
pub use nodes::{Node, NodeRefused, Registered, Registration, encode_register_node};
pub use notices::command as notice_command;
pub use pinned::Pinned;
pub use query::{Asker, Denied, Reader, SessionUser, UserState, View};
pub use replay::EffectsPage;
pub use roles::Role;
pub use states::{Found, Related};
