//! Puts together what pollers and membership report.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::v1::{GetServersResponse, GetStatusResponse, Server};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::channels::Channels;
use crate::ids::NodeId;
use crate::limits::POLL_MISSES_MAX;

use super::poll::{self, Hurry, Look};
use super::view::{Node, View};

/// News for the collector.
#[derive(Debug)]
pub(super) enum Report {
    /// Membership answered, or did not.
    Servers(Option<Box<GetServersResponse>>),
    /// A replica was asked for its status.
    Look { address: String, look: Look },
}

/// A replica that is polled.
struct Polled {
    id: NodeId,
    suspected: bool,
    status: Option<GetStatusResponse>,
    misses: u32,
    task: AbortHandle,
}

/// Owns everything that is known; see [`View`] for what others get.
pub(super) struct Collector {
    channels: Arc<Channels>,
    hurry: Arc<Hurry>,
    reports: mpsc::Sender<Report>,
    view: watch::Sender<Arc<View>>,
    cluster_id: String,
    /// Of that cluster, for ever: both come from its genesis.
    client_epoch: u64,
    name: String,
    membership: bool,
    waiting_for: String,
    /// By address: a replica may be known before it has a number.
    polled: BTreeMap<String, Polled>,
}

impl Collector {
    pub(super) fn new(
        channels: Arc<Channels>,
        hurry: Arc<Hurry>,
        reports: mpsc::Sender<Report>,
        view: watch::Sender<Arc<View>>,
        seeds: &[String],
    ) -> Self {
        let mut collector = Self {
            channels,
            hurry,
            reports,
            view,
            cluster_id: String::new(),
            client_epoch: 0,
            name: String::new(),
            membership: false,
            waiting_for: View::empty().waiting_for,
            polled: BTreeMap::new(),
        };
        for seed in seeds {
            collector.ensure_polled(seed);
        }
        collector
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Report>) {
        self.hurry.set_leaderless(true);
        while let Some(report) = inbox.recv().await {
            match report {
                Report::Servers(answer) => self.servers(answer),
                Report::Look { address, look } => self.look(&address, look),
            }
            let view = self.assemble();
            self.hurry.set_leaderless(!view.quorum());
            if self.view.send(Arc::new(view)).is_err() {
                break;
            }
        }
        for polled in self.polled.values() {
            polled.task.abort();
        }
    }

    /// Takes over membership's list. Without an answer, or from a service that lost its memory
    /// and knows no cluster, the old list stays: replicas do not vanish because nobody lists
    /// them.
    fn servers(&mut self, answer: Option<Box<GetServersResponse>>) {
        self.membership = answer.is_some();
        let Some(answer) = answer else { return };
        self.waiting_for = answer.waiting_for;
        if answer.cluster_id.is_empty() || !answer.formed {
            return;
        }
        if self.cluster_id.is_empty() {
            tracing::info!(
                cluster = answer.cluster_name,
                id = answer.cluster_id,
                "found the cluster"
            );
            self.cluster_id = answer.cluster_id;
            self.client_epoch = answer.client_epoch;
        } else if self.cluster_id != answer.cluster_id {
            tracing::error!(
                ours = self.cluster_id,
                theirs = answer.cluster_id,
                "membership speaks of another cluster; its list is ignored until a restart"
            );
            return;
        }
        self.name = answer.cluster_name;
        let listed = |address: &str| {
            answer
                .servers
                .iter()
                .any(|server| server.address == address)
        };
        self.polled.retain(|address, polled| {
            let keep = listed(address);
            if !keep {
                polled.task.abort();
            }
            keep
        });
        self.channels.keep_only(listed);
        for server in answer.servers {
            self.server(&server);
        }
    }

    fn server(&mut self, server: &Server) {
        self.ensure_polled(&server.address);
        if let Some(polled) = self.polled.get_mut(&server.address) {
            polled.id = NodeId(server.node);
            polled.suspected = server.suspected;
        }
    }

    fn ensure_polled(&mut self, address: &str) {
        if self.polled.contains_key(address) {
            return;
        }
        let Some(pair) = self.channels.get(address) else {
            tracing::error!(address, "not an address");
            return;
        };
        let (hurry, reports) = (Arc::clone(&self.hurry), self.reports.clone());
        let task = tokio::spawn(poll::poll(address.to_owned(), pair.unary, hurry, reports));
        let polled = Polled {
            id: NodeId(0),
            suspected: false,
            status: None,
            misses: 0,
            task: task.abort_handle(),
        };
        self.polled.insert(address.to_owned(), polled);
    }

    fn look(&mut self, address: &str, look: Look) {
        let Some(polled) = self.polled.get_mut(address) else {
            return;
        };
        let before = polled.status.is_some();
        match look {
            Look::Answer(status) => {
                polled.misses = 0;
                if self.cluster_id.is_empty() && !status.cluster_id.is_empty() {
                    self.cluster_id.clone_from(&status.cluster_id);
                    self.client_epoch = status.client_epoch;
                    self.name.clone_from(&status.cluster_name);
                }
                // A replica of another cluster under a known address: a foreign disk. Nothing
                // that it says may be shown as ours.
                let ours = status.cluster_id == self.cluster_id && !self.cluster_id.is_empty();
                if ours {
                    polled.id = NodeId(status.node);
                }
                polled.status = ours.then_some(*status);
            }
            Look::Refused => polled.status = None,
            Look::Silent => {
                polled.misses = polled.misses.saturating_add(1);
                if polled.misses >= POLL_MISSES_MAX {
                    polled.status = None;
                }
            }
        }
        let now = polled.status.is_some();
        if before != now {
            tracing::info!(address, node = %polled.id, reachable = now, "replica");
        }
        self.learn_peers(address);
    }

    /// While membership has not answered, the replicas name each other.
    fn learn_peers(&mut self, address: &str) {
        if self.membership {
            return;
        }
        let status = self
            .polled
            .get(address)
            .and_then(|polled| polled.status.as_ref());
        let peers: Vec<String> = status
            .into_iter()
            .flat_map(|status| &status.peers)
            .map(|peer| peer.address.clone())
            .filter(|peer| !peer.is_empty() && !self.polled.contains_key(peer))
            .collect();
        for peer in peers {
            self.ensure_polled(&peer);
        }
    }

    fn assemble(&self) -> View {
        let mut nodes: Vec<Node> = self
            .polled
            .iter()
            .map(|(address, polled)| Node {
                address: address.clone(),
                id: polled.id,
                suspected: polled.suspected,
                status: polled.status.clone(),
            })
            .collect();
        nodes.sort_by_key(|node| node.id);
        View {
            cluster_id: self.cluster_id.clone(),
            client_epoch: self.client_epoch.max(1),
            name: self.name.clone(),
            membership: self.membership,
            waiting_for: self.waiting_for.clone(),
            nodes,
        }
    }
}
