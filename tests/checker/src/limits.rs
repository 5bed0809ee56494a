//! Every bound of the checker, each with its reason.

use std::time::Duration;

/// Violations of one kind that are told in words: the first few show the bug, a million of them
/// would fill the memory. All of them are counted.
pub const EXAMPLES_MAX: usize = 20;
/// What a recorder holds back before it writes: one system call for some hundred events.
pub(crate) const RECORDER_BUFFER_BYTES: usize = 64 * 1024;
/// Questions for history of one client that have no answer yet. A client asks one at a time;
/// those that a dying gateway never answered are forgotten, the oldest first.
pub(crate) const QUESTIONS_MAX: usize = 64;
/// An entry of the log as a replica hands it out: 256 KiB of commands, with room.
pub(crate) const LOG_MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Opening a connection to a replica that is said to run.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
