//! Looks at the free space of the data directory, so that a leader refuses proposals before its
//! log can no longer be written.

use std::path::PathBuf;
use std::sync::Arc;

use crate::limits::{FREE_BYTES_LOW, FREE_EVERY};
use crate::signals::Signals;

/// Looks for ever; end the task to stop.
pub(crate) async fn watch_space(directory: PathBuf, signals: Arc<Signals>) {
    let mut before = false;
    loop {
        // A failure says nothing about the space; the log's writer will meet its cause.
        if let Ok(stat) = rustix::fs::statvfs(&directory) {
            let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
            let low = free_bytes < FREE_BYTES_LOW;
            if low && !before {
                tracing::error!(
                    directory = %directory.display(), free_mib = free_bytes >> 20,
                    "the disk is nearly out of space: no new proposals are taken; free some \
                     space (not log.db*), or enlarge the volume"
                );
            } else if before && !low {
                tracing::info!(free_mib = free_bytes >> 20, "there is space again");
            }
            before = low;
            signals.note_space_low(low);
        }
        tokio::time::sleep(FREE_EVERY).await;
    }
}
