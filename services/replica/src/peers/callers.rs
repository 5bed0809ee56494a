//! Which process speaks for a node, so that a copied data directory is noticed.
//!
//! Two live processes with one disk would vote as one node and could break agreement. Each draws
//! a number when it starts. When a stream of another number arrives while one is open, the older
//! process is dead, as after a crash, unless it goes on speaking: a replica sends a heartbeat
//! every 100 ms. So the newcomer waits a moment, and is refused if the older one was heard in the
//! second half of it. A wrong refusal costs a reconnection. Tests: below.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use paxos::ids::NodeId;
use proto::v1::PeerReply;
use tokio::sync::mpsc;
use tonic::Status;

use crate::limits::IDENTITY_PROBE;

/// The way to tell a dialler something.
pub(crate) type Replies = mpsc::Sender<Result<PeerReply, Status>>;

/// The processes that speak to this replica. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Callers(Arc<Mutex<BTreeMap<NodeId, Caller>>>);

#[derive(Debug)]
struct Caller {
    /// Of the stream that was registered last.
    stream: u64,
    process: u64,
    heard: Instant,
    replies: Replies,
}

/// Registered while it lives.
#[derive(Debug)]
pub(crate) struct Called {
    callers: Callers,
    node: NodeId,
    stream: u64,
    process: u64,
}

static NEXT_STREAM: AtomicU64 = AtomicU64::new(1);

impl Callers {
    /// Registers the process, unless another live one speaks for the node, which is told.
    pub(crate) async fn admit(
        &self,
        node: NodeId,
        process: u64,
        address: &str,
        replies: &Replies,
    ) -> Result<Called, String> {
        let has_rival = |caller: &Caller| caller.process != process;
        if self.lock().get(&node).is_some_and(has_rival) {
            tokio::time::sleep(IDENTITY_PROBE / 2).await;
            let half = Instant::now();
            tokio::time::sleep(IDENTITY_PROBE / 2).await;
            let speaks = |caller: &&Caller| has_rival(caller) && caller.heard > half;
            if let Some(rival) = self.lock().get(&node).filter(speaks) {
                // It is full when the warning before this one was not read yet.
                let _ = rival.replies.try_send(Ok(PeerReply {
                    node: 0,
                    rival: address.to_owned(),
                }));
                return Err(format!(
                    "another live process speaks for node {}: this data directory is a copy of \
                     that one's, or the other way round; stop one, and start it on an empty \
                     directory: it joins as a new node",
                    node.0
                ));
            }
        }
        let stream = NEXT_STREAM.fetch_add(1, Ordering::Relaxed);
        let caller = Caller {
            stream,
            process,
            heard: Instant::now(),
            replies: replies.clone(),
        };
        self.lock().insert(node, caller);
        Ok(Called {
            callers: self.clone(),
            node,
            stream,
            process,
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Caller>> {
        // Every change is whole before the guard is dropped.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Called {
    /// A frame arrived.
    pub(crate) fn note_heard(&self) {
        let mut callers = self.callers.lock();
        if let Some(caller) = callers.get_mut(&self.node)
            && caller.process == self.process
        {
            caller.heard = Instant::now();
        }
    }
}

impl Drop for Called {
    fn drop(&mut self) {
        let mut callers = self.callers.lock();
        // A later stream keeps its place.
        let mine = |caller: &Caller| caller.stream == self.stream;
        if callers.get(&self.node).is_some_and(mine) {
            callers.remove(&self.node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Callers, IDENTITY_PROBE, NodeId, mpsc};

    const NODE: NodeId = NodeId(2);

    #[tokio::test]
    async fn a_successor_takes_over_from_the_dead() {
        let callers = Callers::default();
        let (replies, _kept) = mpsc::channel(1);
        let first = callers.admit(NODE, 1, "h:1", &replies).await;
        let _first = first.expect("nobody else");
        // Its stream is still open: a half-open connection, say.
        let second = callers.admit(NODE, 2, "h:1", &replies).await;
        second.expect("the first one is silent");
    }

    #[tokio::test]
    async fn a_copy_is_refused_while_the_original_speaks() {
        let callers = Callers::default();
        let (replies, mut told) = mpsc::channel(1);
        let first = callers.admit(NODE, 1, "h:1", &replies).await;
        let first = first.expect("nobody else");
        let speaking = async {
            loop {
                first.note_heard();
                tokio::time::sleep(IDENTITY_PROBE / 8).await;
            }
        };
        let refused = tokio::select! {
            refused = callers.admit(NODE, 2, "copy:1", &replies) => refused,
            () = speaking => unreachable!("it speaks for ever"),
        };
        assert!(refused.expect_err("a copy").contains("copy"));
        let warning = told.try_recv().expect("the original is told");
        assert_eq!(warning.expect("a reply").rival, "copy:1");
        // The same process again is no rival of itself.
        callers
            .admit(NODE, 1, "h:1", &replies)
            .await
            .expect("itself");
    }
}
