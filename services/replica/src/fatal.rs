//! The ends from which there is no way back: said once, at the level that wakes a person.

use paxos::output::HaltReason;

/// What a shell sees of a replica that had to stop.
const EXIT_FAILURE: i32 = 1;

/// The log can no longer be written. Nothing that was acknowledged is lost.
pub(crate) fn log_failed(error: &wal::Error) -> ! {
    tracing::error!(
        error = ops::errors::chain(error),
        "the disk of the log failed; the replica stops at once"
    );
    match error {
        wal::Error::NoSpace { .. } => std::process::exit(EXIT_FAILURE),
        // No destructor and no exit handler may touch the file again: a second fsync after a
        // failed one may report success for data that is gone.
        _ => std::process::abort(),
    }
}

/// The state can no longer be brought forward.
pub(crate) fn state_failed(error: &machine::Error) -> ! {
    tracing::error!(
        error = ops::errors::chain(error),
        "the state on disk cannot be brought forward; the replica stops at once"
    );
    std::process::exit(EXIT_FAILURE)
}

/// The core found what must not be.
pub(crate) fn halted(reason: HaltReason) -> ! {
    match reason {
        HaltReason::Diverged { slot, peer } => tracing::error!(
            %slot, peer = peer.map_or(0, |node| node.0),
            "halted: the log here and another replica's differ, or an entry does not follow the \
             one before; keep all files of both and compare them with `chatterctl log`; if a \
             backup was restored into one of them, that is the cause"
        ),
        HaltReason::DuplicateIdentity { ballot } => tracing::error!(
            %ballot,
            "halted: another process runs under the identity of this node; a data directory was \
             copied; stop the copy and start it on an empty directory: it joins as a new node"
        ),
    }
    std::process::exit(EXIT_FAILURE)
}

/// Ends the process when a thread that it cannot live without panics.
pub(crate) struct Vital(pub(crate) &'static str);

impl Drop for Vital {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                thread = self.0,
                "bug: a vital thread panicked; please report it"
            );
            std::process::abort();
        }
    }
}
