//! Streams to all replicas, over which gateways whisper to each other.
//!
//! In: whispers of this gateway. Out: those of the others. Every gateway listens to every replica
//! and says each whisper to one of them, so that it is heard once.
//! Must hold: nothing waits. A whisper without a stream, or for which there is no room, is lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proto::v1::relay_client::RelayClient;
use proto::v1::{Whisper, whisper::Kind};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;

use crate::channels::Channels;
use crate::cluster::{Cluster, SHARD, View};
use crate::ids::NodeId;
use crate::limits::{
    CONNECT_TIMEOUT, RELAY_RETRY, WHISPER_BYTES_MAX, WHISPERS_HEARD_MAX, WHISPERS_WAITING_MAX,
};

/// News from the replicas.
#[derive(Debug)]
pub(super) enum Heard {
    /// What another gateway said.
    Whisper(Whisper),
    /// One more replica relays for us.
    Connected,
}

/// A cheap way to say something.
#[derive(Debug)]
pub(super) struct Relay {
    say: mpsc::Sender<Kind>,
}

impl Relay {
    /// Begins to connect; ends when nobody hears or says anything any more.
    pub(super) fn start(
        cluster: Cluster,
        channels: Arc<Channels>,
    ) -> (Self, mpsc::Receiver<Heard>) {
        let (say, said) = mpsc::channel(WHISPERS_WAITING_MAX);
        let (hear, heard) = mpsc::channel(WHISPERS_HEARD_MAX);
        let actor = Actor {
            cluster,
            channels,
            own: rand::random(),
            hear,
            links: BTreeMap::new(),
        };
        tokio::spawn(actor.run(said));
        (Self { say }, heard)
    }

    /// Says it to whoever hears it.
    pub(super) fn say(&self, kind: Kind) {
        if self.say.try_send(kind).is_err() {
            tracing::debug!("a whisper too much at once is lost");
        }
    }
}

/// The stream to one replica, opened again for as long as it is there.
struct Link {
    whispers: mpsc::Sender<Whisper>,
    open: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Actor {
    cluster: Cluster,
    channels: Arc<Channels>,
    /// The number of this process.
    own: u64,
    hear: mpsc::Sender<Heard>,
    links: BTreeMap<(NodeId, String), Link>,
}

impl Actor {
    async fn run(mut self, mut said: mpsc::Receiver<Kind>) {
        let mut view = self.cluster.watch();
        loop {
            let now = Arc::clone(&view.borrow_and_update());
            self.connect(&now);
            tokio::select! {
                kind = said.recv() => match kind {
                    Some(kind) => self.say(&now, kind),
                    None => return,
                },
                changed = view.changed() => if changed.is_err() { return },
            }
        }
    }

    /// A stream to each replica that serves.
    fn connect(&mut self, view: &View) {
        let serving = view.nodes.iter().filter(|node| node.serves());
        let wanted: Vec<_> = serving
            .map(|node| (node.id, node.address.clone()))
            .collect();
        self.links.retain(|key, _| wanted.contains(key));
        for key in wanted {
            if self.links.contains_key(&key) {
                continue;
            }
            if let Some(pair) = self.channels.get(&key.1) {
                let link = self.open(pair.stream);
                self.links.insert(key, link);
            }
        }
    }

    fn open(&self, channel: Channel) -> Link {
        let (whispers, outgoing) = mpsc::channel(WHISPERS_WAITING_MAX);
        let open = Arc::new(AtomicBool::new(false));
        let keep = keep_open(
            channel,
            outgoing,
            Arc::clone(&open),
            self.own,
            self.hear.clone(),
        );
        Link {
            whispers,
            open,
            task: tokio::spawn(keep).abort_handle(),
        }
    }

    /// To the leader, because all gateways are connected to it soonest; else to anybody.
    fn say(&self, view: &View, kind: Kind) {
        let leader = view.quorum_leader().map(|node| node.id);
        let open = self
            .links
            .iter()
            .filter(|(_, link)| link.open.load(Ordering::Relaxed));
        let chosen = open.max_by_key(|((node, _), _)| Some(*node) == leader);
        let Some((_, link)) = chosen else { return };
        let whisper = Whisper {
            shard: SHARD,
            gateway: self.own,
            kind: Some(kind),
        };
        let _ = link.whispers.try_send(whisper);
    }
}

/// Opens the stream again and again, until the link is dropped.
async fn keep_open(
    channel: Channel,
    mut outgoing: mpsc::Receiver<Whisper>,
    open: Arc<AtomicBool>,
    own: u64,
    hear: mpsc::Sender<Heard>,
) {
    loop {
        let ended = pump(channel.clone(), &mut outgoing, &open, own, &hear).await;
        open.store(false, Ordering::Relaxed);
        tracing::debug!(reason = ended.message(), "whispers to a replica ended");
        // What waited is old by the time somebody hears.
        while outgoing.try_recv().is_ok() {}
        sleep(RELAY_RETRY).await;
    }
}

async fn pump(
    channel: Channel,
    outgoing: &mut mpsc::Receiver<Whisper>,
    open: &AtomicBool,
    own: u64,
    hear: &mpsc::Sender<Heard>,
) -> Status {
    let mut client = RelayClient::new(channel).max_decoding_message_size(WHISPER_BYTES_MAX);
    let (sender, stream) = mpsc::channel(WHISPERS_WAITING_MAX);
    let opening = client.pass(ReceiverStream::new(stream));
    let mut whispers = match timeout(CONNECT_TIMEOUT * 2, opening).await {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return status,
        Err(_) => return Status::deadline_exceeded("it did not open in time"),
    };
    open.store(true, Ordering::Relaxed);
    let _ = hear.try_send(Heard::Connected);
    loop {
        tokio::select! {
            whisper = whispers.message() => match whisper {
                Ok(Some(whisper)) if whisper.gateway == own => {}
                Ok(Some(whisper)) => {
                    let _ = hear.try_send(Heard::Whisper(whisper));
                }
                Ok(None) => return Status::ok("the replica closed it"),
                Err(status) => return status,
            },
            whisper = outgoing.recv() => match whisper {
                Some(whisper) => {
                    // One waits for the transport. A stream without room loses the next ones.
                    let _ = sender.try_send(whisper);
                }
                None => return Status::cancelled("the gateway stops"),
            },
        }
    }
}
