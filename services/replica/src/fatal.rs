//! The ends from which there is no way back: said once, at the level that wakes a person.

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
