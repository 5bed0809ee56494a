//! The thread that keeps the search index behind the applied slot.
//!
//! In: how far the state is applied. Out: nothing; the index beside the state.
//! Must hold: nobody waits for it. While there is load it works once in a while, on all that has come
//! since: what a batch costs hardly depends on how many messages are in it
//! (docs/adr/0013-the-index-works-in-large-batches.md). A fault of the index is logged, and the
//! index made anew. Tests: machine/tests/search.rs, tests/browser/search.test.mjs

use std::path::{Path, PathBuf};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use machine::search::Index;
use ops::shutdown::Token;
use paxos::ids::Slot;
use tokio::sync::watch;

use crate::limits::{SEARCH_BATCH_PAUSE, SEARCH_GATHER, SEARCH_LOOK, SEARCH_NICE, SEARCH_RETRY};

/// Starts the thread. It ends soon after the token is cancelled.
pub(crate) fn start(
    state: PathBuf,
    applied: watch::Receiver<Slot>,
    stop: Token,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("search".to_owned())
        .spawn(move || {
            let_others_go_first();
            while !stop.is_cancelled() {
                if let Err(error) = follow(&state, &applied, &stop) {
                    tracing::warn!(%error, "the search index fell behind; it is opened again");
                    pause(SEARCH_RETRY, &stop);
                }
            }
        })
}

/// Whoever waits for a commit waits for a core, too, when all are busy; nobody waits for the index.
fn let_others_go_first() {
    // Elsewhere it would be the priority of the whole process, here it is that of this thread.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, SEARCH_NICE) {
        tracing::debug!(%error, "the search index has the same priority as commits");
    }
}

fn follow(
    state: &Path,
    applied: &watch::Receiver<Slot>,
    stop: &Token,
) -> Result<(), machine::Error> {
    let mut index = Index::open(state)?;
    let mut indexed = Slot::GENESIS;
    while !stop.is_cancelled() {
        if indexed >= *applied.borrow() {
            sleep(SEARCH_LOOK);
            continue;
        }
        let caught_up = index.catch_up().inspect_err(|_| {
            // It may be damaged where opening it does not look.
            let _ = Index::discard(state);
        });
        let progress = caught_up?;
        indexed = progress.indexed;
        if progress.is_complete() {
            // More gathers meanwhile.
            pause(SEARCH_GATHER, stop);
        } else {
            sleep(SEARCH_BATCH_PAUSE);
        }
    }
    Ok(())
}

/// Ends early when it is time to stop.
fn pause(lasting: Duration, stop: &Token) {
    let looks = lasting.as_millis() / SEARCH_LOOK.as_millis().max(1);
    for _ in 0..looks {
        if !stop.is_cancelled() {
            sleep(SEARCH_LOOK);
        }
    }
}
