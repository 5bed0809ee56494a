//! The other voters: a stream to each, and what is known of them.

mod dial;
mod outbox;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use ops::shutdown::Token;
use paxos::ids::NodeId;
use paxos::message::Message;

pub(crate) use dial::VERSION;
pub(crate) use outbox::Outbox;

use crate::genesis::Cluster;

/// One other voter.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its id.
    pub(crate) node: NodeId,
    /// What waits for it.
    pub(crate) outbox: Outbox,
    /// Where it was last known to be; read at each attempt to connect.
    address: RwLock<String>,
}

impl Peer {
    /// Where it was last known to be.
    pub(crate) fn address(&self) -> String {
        self.address
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes where it is. True when that is news.
    fn move_to(&self, address: &str) -> bool {
        let mut known = self.address.write().unwrap_or_else(PoisonError::into_inner);
        let news = *known != address;
        if news {
            address.clone_into(&mut known);
        }
        news
    }
}

/// All other voters. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Peers(Arc<BTreeMap<NodeId, Arc<Peer>>>);

impl Peers {
    /// The voters of the genesis but for this node, at their last known addresses.
    pub(crate) fn new(me: &Cluster, cached: &wal::Peers) -> Self {
        let others = me.voters.iter().filter(|(node, _)| **node != me.node);
        let peers = others.map(|(&node, voter)| {
            let address = cached.get(&node).unwrap_or(&voter.address).clone();
            let peer = Peer {
                node,
                outbox: Outbox::default(),
                address: RwLock::new(address),
            };
            (node, Arc::new(peer))
        });
        Self(Arc::new(peers.collect()))
    }

    /// Keeps a stream to each until `shutdown`.
    pub(crate) fn connect(&self, me: &Arc<Cluster>, shutdown: &Token) {
        for peer in self.0.values() {
            tokio::spawn(dial::keep_connected(
                Arc::clone(peer),
                Arc::clone(me),
                shutdown.clone(),
            ));
        }
    }

    /// Queues a message for a peer; best effort.
    pub(crate) fn send(&self, to: NodeId, message: Message) {
        if let Some(peer) = self.0.get(&to) {
            peer.outbox.push(message);
        }
    }

    /// In the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Peer>> {
        self.0.values()
    }

    /// Notes new addresses. Gives all of them when there was news.
    pub(crate) fn learn(&self, addresses: &BTreeMap<NodeId, String>) -> Option<wal::Peers> {
        let mut news = false;
        for (node, address) in addresses {
            if let Some(peer) = self.0.get(node)
                && peer.move_to(address)
            {
                tracing::info!(%node, address, "a peer has a new address");
                news = true;
            }
        }
        news.then(|| {
            self.0
                .iter()
                .map(|(node, peer)| (*node, peer.address()))
                .collect()
        })
    }

    /// Waits until every open stream has taken what was queued for it, and a little longer for
    /// the bytes to leave. A dead peer does not count.
    #[cfg(feature = "failpoints")]
    pub(crate) fn flush(&self) {
        use std::time::{Duration, Instant};
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.0.values().any(|peer| peer.outbox.has_waiting()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
