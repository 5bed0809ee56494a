//! Streams to other nodes: one to each voter always, to any other known node while there is
//! something to say to it.
//!
//! Who votes changes with the epoch, and nodes that do not vote speak, too: a standby asks for
//! rows and is answered. So a stream is opened when the core first sends to a node, if the
//! directory knows where it is; one that is not a voter's and was not used for a while ends.

mod callers;
mod dial;
mod outbox;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ops::shutdown::Token;
use ops::traces::Context;
use paxos::ids::{NodeId, Slot};
use paxos::message::Message;
use proto::v1::PeerHello;
use tokio::runtime::Handle;

pub(crate) use callers::{Called, Callers};
pub(crate) use dial::{VERSION, endpoint};
pub(crate) use outbox::Outbox;

use crate::demo::Demo;
use crate::directory::Directory;
use crate::genesis::Cluster;
use crate::limits::{PEER_STREAM_IDLE, PEER_STREAMS_MAX};

/// How this process introduces itself.
#[derive(Debug)]
pub(crate) struct Me {
    /// This node and its cluster.
    pub(crate) cluster: Arc<Cluster>,
    /// Where it is reached.
    pub(crate) address: String,
    /// Drawn when the process started.
    pub(crate) process: u64,
    /// How the others are dialled.
    pub(crate) tls: tls::Mutual,
    /// Whether it is cut off on purpose.
    pub(crate) demo: Demo,
}

impl Me {
    /// What is said first to a node.
    pub(crate) fn hello(&self, to: NodeId) -> PeerHello {
        PeerHello {
            version: VERSION,
            cluster_id: self.cluster.cluster_id.to_string(),
            shard: self.cluster.shard,
            from: self.cluster.node.0,
            to: to.0,
            disk_id: self.cluster.disk_id.to_string(),
            process: self.process,
            address: self.address.clone(),
            batch_version: machine::limits::BATCH_VERSION,
        }
    }
}

/// One other node.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its id.
    pub(crate) node: NodeId,
    /// What waits for it.
    pub(crate) outbox: Outbox,
}

/// A stream that is kept.
#[derive(Debug)]
struct Stream {
    peer: Arc<Peer>,
    stop: Token,
    /// When something was last sent.
    used: Instant,
}

/// All of them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Peers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    me: Arc<Me>,
    directory: Arc<Directory>,
    /// Ends all streams.
    stop: Token,
    runtime: Handle,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    streams: BTreeMap<NodeId, Stream>,
    voters: BTreeSet<NodeId>,
}

impl Peers {
    /// Without a stream yet. Must be called inside the runtime.
    pub(crate) fn new(me: Arc<Me>, directory: Arc<Directory>, stop: Token) -> Self {
        Self(Arc::new(Inner {
            me,
            directory,
            stop,
            runtime: Handle::current(),
            state: Mutex::default(),
        }))
    }

    /// These are the voters now: there is a stream to each from here on.
    pub(crate) fn set_voters(&self, voters: &BTreeSet<NodeId>) {
        let mut state = self.lock();
        state.voters.clone_from(voters);
        for node in voters {
            self.stream(&mut state, *node);
        }
    }

    /// Queues a message for a node; best effort.
    pub(crate) fn send(&self, to: NodeId, message: Message) {
        self.send_traced(to, message, Vec::new());
    }

    /// As [`Peers::send`], with the traces of the commands in the message's rows.
    pub(crate) fn send_traced(&self, to: NodeId, message: Message, traces: Vec<(Slot, Context)>) {
        let mut state = self.lock();
        if let Some(stream) = self.stream(&mut state, to) {
            stream.used = Instant::now();
            stream.peer.outbox.push(message, traces);
        }
    }

    /// The stream to a node, opened if there is none and its address is known.
    fn stream<'a>(&self, state: &'a mut State, to: NodeId) -> Option<&'a mut Stream> {
        if to == self.0.me.cluster.node {
            return None;
        }
        if !state.streams.contains_key(&to) {
            let room = state.streams.len() < PEER_STREAMS_MAX || state.voters.contains(&to);
            if !room || self.0.directory.address_of(to).is_none() {
                return None;
            }
            let peer = Arc::new(Peer {
                node: to,
                outbox: Outbox::default(),
            });
            let stop = self.0.stop.child_token();
            let (me, directory) = (Arc::clone(&self.0.me), Arc::clone(&self.0.directory));
            let task = dial::keep_connected(Arc::clone(&peer), me, directory, stop.clone());
            self.0.runtime.spawn(task);
            let used = Instant::now();
            state.streams.insert(to, Stream { peer, stop, used });
        }
        state.streams.get_mut(&to)
    }

    /// Ends streams to nodes that do not vote and to which nothing was sent for a while.
    pub(crate) fn sweep(&self) {
        let mut state = self.lock();
        let State { streams, voters } = &mut *state;
        streams.retain(|node, stream| {
            let keep = voters.contains(node) || stream.used.elapsed() < PEER_STREAM_IDLE;
            if !keep {
                stream.stop.cancel();
            }
            keep
        });
    }

    /// Whether a stream to the node is open.
    pub(crate) fn is_open(&self, node: NodeId) -> bool {
        let state = self.lock();
        let stream = state.streams.get(&node);
        stream.is_some_and(|stream| stream.peer.outbox.is_open())
    }

    /// Waits until every open stream has taken what was queued for it, and a little longer for
    /// the bytes to leave. A dead peer does not count.
    #[cfg(feature = "failpoints")]
    pub(crate) fn flush(&self) {
        use std::time::Duration;
        let deadline = Instant::now() + Duration::from_secs(1);
        let waits = || {
            let state = self.lock();
            let waits = |stream: &Stream| stream.peer.outbox.has_waiting();
            state.streams.values().any(waits)
        };
        while waits() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(200));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is whole before the guard is dropped.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
