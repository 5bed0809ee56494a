//! Points at which a test stops the process, in binaries built with the feature `failpoints`.
//!
//! The action `return` aborts at the point, as a loss of power would; `pause` holds the thread
//! there. Set by the variable `FAILPOINTS` at start (`name=1*return;…`), and at run time by the
//! gRPC service `chatterbox.v1.Failpoints`.

/// A command is in hand and was not given to the core.
pub(crate) const BEFORE_PROPOSE: &str = "before_propose";
/// The core has given it a slot; nothing was written or sent.
pub(crate) const AFTER_PROPOSE_BEFORE_SEND: &str = "after_propose_before_send";
/// As the one before, but also when rows are sent again: no `Accept` with them has left.
pub(crate) const BEFORE_SEND_ACCEPT: &str = "before_send_accept";
/// The `Accept`s with the rows have reached the peers' streams.
pub(crate) const AFTER_SEND_ACCEPT: &str = "after_send_accept";
/// Rows are about to be handed to the log's writer.
pub(crate) const BEFORE_PERSIST: &str = "before_persist";
/// Rows are durable, and nobody knows it yet.
pub(crate) const AFTER_PERSIST: &str = "after_persist";
/// Decided commands are about to be applied.
pub(crate) const BEFORE_APPLY: &str = "before_apply";
/// They are applied, and no answer has left.
pub(crate) const AFTER_APPLY_BEFORE_ACK: &str = "after_apply_before_ack";

/// A chunk of a snapshot was written down.
pub(crate) const AFTER_SNAPSHOT_CHUNK: &str = "after_snapshot_chunk";
/// A snapshot has arrived whole; the replica begins anew with it.
pub(crate) const AFTER_SNAPSHOT_FETCHED: &str = "after_snapshot_fetched";
/// The log knows that the state is going to be replaced.
pub(crate) const AFTER_SNAPSHOT_ANNOUNCED: &str = "after_snapshot_announced";
/// The state is replaced, and the log does not know it.
pub(crate) const AFTER_STATE_SWAPPED: &str = "after_state_swapped";
/// Both hold the snapshot.
pub(crate) const AFTER_SNAPSHOT_INSTALLED: &str = "after_snapshot_installed";

/// Aborts or waits here if a test wants it.
#[cfg(feature = "failpoints")]
pub(crate) fn pass(name: &'static str) {
    fail::fail_point!(name, |_| abort(name));
}

/// As [`pass`], with something to do before an abort.
#[cfg(feature = "failpoints")]
pub(crate) fn pass_after(name: &'static str, first: impl FnOnce()) {
    fail::fail_point!(name, |_| {
        first();
        abort(name)
    });
}

#[cfg(feature = "failpoints")]
fn abort(name: &str) {
    tracing::error!(name, "aborted at a failpoint");
    std::process::abort();
}

/// Nothing, in a binary that people run.
#[cfg(not(feature = "failpoints"))]
pub(crate) const fn pass(_name: &'static str) {}
