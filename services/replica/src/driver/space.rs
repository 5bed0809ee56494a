//! Looks at the free space of the data directory, so that this replica takes nothing new before
//! its log can no longer be written. The marks and the ballast are the log's (`wal::SpaceWatch`);
//! the core refuses rows and hands the lead to another one by itself.

use std::path::PathBuf;
use std::sync::Arc;

use wal::SpaceWatch;

use crate::limits::FREE_EVERY;
use crate::signals::Signals;

/// Looks for ever; end the task to stop.
pub(crate) async fn watch_space(directory: PathBuf, signals: Arc<Signals>) {
    let mut watch = SpaceWatch::new(&directory);
    let mut before = false;
    loop {
        let looked = tokio::task::spawn_blocking(move || {
            let space = watch.look();
            (watch, space)
        });
        // The runtime is going down.
        let Ok((returned, space)) = looked.await else {
            return;
        };
        watch = returned;
        // A failure says nothing about the space; the log's writer will meet its cause.
        if let Ok(space) = space {
            let free_mib = space.free_bytes >> 20;
            if space.low && !before {
                tracing::error!(
                    directory = %directory.display(), free_mib,
                    "the disk is nearly out of space: no new commands are taken, reads go on; \
                     free some space (not log.db*), or enlarge the volume"
                );
            } else if before && !space.low {
                tracing::info!(free_mib, "there is space again");
            }
            before = space.low;
            signals.note_space_low(space.low);
        }
        tokio::time::sleep(FREE_EVERY).await;
    }
}
