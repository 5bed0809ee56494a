//! Streams from other nodes: authenticated once, then every message checked. And snapshots for
//! those that are behind what the log still holds.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::Stream;
use paxos::ids::{NodeId, Slot};
use proto::v1::peer_server;
use proto::v1::{
    PeerFrame, PeerHello, PeerMessages, PeerReply, SnapshotPiece, SnapshotRequest, peer_frame::Kind,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::directory::Directory;
use crate::driver::Inbound;
use crate::errors::Refused;
use crate::genesis::Cluster;
use crate::limits::PEER_CONNECT_TIMEOUT;
use crate::logs::Seldom;
use crate::peers::{Called, VERSION};
use crate::role::{Member, Shared};
use crate::{traces, wire};

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct Peer(pub(crate) Arc<Shared>);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl peer_server::Peer for Peer {
    type ExchangeStream = Answers<PeerReply>;

    async fn exchange(
        &self,
        request: Request<Streaming<PeerFrame>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let mut frames = request.into_inner();
        let member = self.0.member()?;
        if self.0.demo.is_cut_off() {
            return Err(Refused::NotNow("this replica is cut off, for a demo").into());
        }
        let first = tokio::time::timeout(PEER_CONNECT_TIMEOUT, frames.message());
        let first = first
            .await
            .map_err(|_| Refused::Bad("no hello came".to_owned()))??;
        let Some(Kind::Hello(hello)) = first.and_then(|frame| frame.kind) else {
            return Err(Refused::Bad("the first frame must be a hello".to_owned()).into());
        };
        let from = greet(&member, &hello)?;
        let (replies, outgoing) = mpsc::channel(1);
        let called = member
            .callers
            .admit(from, hello.process, &hello.address, &replies)
            .await
            .map_err(|why| stranger(&hello, why))?;
        member.directory.note_program(from, hello.batch_version);
        if member.directory.note_address(from, &hello.address) {
            tracing::info!(node = %from, address = hello.address, "a node has a new address");
            member.remember_addresses();
        }
        let node = member.cluster.node.0;
        // The channel is empty: there is room for one.
        let _ = replies.try_send(Ok(PeerReply {
            node,
            rival: String::new(),
        }));
        tokio::spawn(receive(from, frames, member, called, replies));
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }

    type SnapshotStream = Answers<SnapshotPiece>;

    async fn snapshot(
        &self,
        request: Request<SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let request = request.into_inner();
        let member = self.0.member()?;
        let hello = request.hello.unwrap_or_default();
        let to = greet(&member, &hello)?;
        let known = request.sha256.as_slice().try_into().ok();
        let pieces = member
            .snapshots
            .serve(to, Slot(request.at_least), known, request.offset)
            .await?;
        Ok(Response::new(Box::pin(ReceiverStream::new(pieces))))
    }
}

/// Checks who calls.
fn greet(member: &Member, hello: &PeerHello) -> Result<NodeId, Refused> {
    authenticate(&member.cluster, &member.directory, hello).map_err(|why| stranger(hello, why))
}

fn stranger(hello: &PeerHello, why: String) -> Refused {
    tracing::warn!(
        from = hello.from,
        disk = hello.disk_id,
        address = hello.address,
        why,
        "a peer was refused"
    );
    Refused::Stranger(why)
}

/// Whether the dialler is who it says, and means this replica. The words go to its operator.
fn authenticate(
    cluster: &Cluster,
    directory: &Directory,
    hello: &PeerHello,
) -> Result<NodeId, String> {
    if hello.version != VERSION {
        return Err(format!(
            "version {} of the stream is not known here",
            hello.version
        ));
    }
    if Uuid::try_parse(&hello.cluster_id) != Ok(cluster.cluster_id) {
        return Err(format!(
            "{} is another cluster, this one is {} ({})",
            hello.cluster_id, cluster.cluster_id, cluster.cluster_name
        ));
    }
    if hello.shard != cluster.shard {
        return Err(format!("shard {} is not {}", hello.shard, cluster.shard));
    }
    if hello.to != cluster.node.0 {
        return Err(format!("this is node {}, not {}", cluster.node.0, hello.to));
    }
    let from = NodeId(hello.from);
    let disk_id = directory.disk_of(from).filter(|_| from != cluster.node);
    let disk_id = disk_id.ok_or_else(|| {
        let from = hello.from;
        format!("node {from} is none of the others, or its registration has not arrived here yet")
    })?;
    if Uuid::try_parse(&hello.disk_id) != Ok(disk_id) {
        return Err(format!(
            "node {} is disk {disk_id}, not {}: a replica that lost its disk is a new replica",
            hello.from, hello.disk_id
        ));
    }
    Ok(from)
}

/// Messages that were dropped because they made no sense, by this process.
static MALFORMED: AtomicU64 = AtomicU64::new(0);

/// Hands over what comes until the stream ends. While the driver is busy the stream is not
/// read, and the peer's queue drops what is too much. Dropping `_replies` ends the stream.
async fn receive(
    from: NodeId,
    mut frames: Streaming<PeerFrame>,
    member: Arc<Member>,
    called: Called,
    _replies: mpsc::Sender<Result<PeerReply, Status>>,
) {
    let mut seldom = Seldom::default();
    loop {
        let frame = tokio::select! {
            frame = frames.message() => frame,
            () = member.stop.cancelled() => return,
            () = member.me.demo.until_cut_off() => return,
        };
        let messages = match frame {
            Ok(Some(PeerFrame {
                kind: Some(Kind::Messages(messages)),
            })) => messages,
            Ok(Some(_)) => continue,
            Ok(None) => return,
            Err(status) => {
                tracing::debug!(%from, error = crate::errors::plain(&status), "a stream broke");
                return;
            }
        };
        called.note_heard();
        let traces = traces::from_wire(&messages.traces);
        let messages = decode(from, messages, &mut seldom);
        tracing::trace!(%from, count = messages.len(), "messages from a peer");
        if member
            .driver
            .inbound
            .send(Inbound {
                from,
                messages,
                traces,
            })
            .await
            .is_err()
        {
            return;
        }
    }
}

/// The messages that make sense. One that does not is dropped, as the network might have done;
/// how often that happened is said now and then.
fn decode(from: NodeId, messages: PeerMessages, seldom: &mut Seldom) -> Vec<paxos::Message> {
    let mut decoded = Vec::with_capacity(messages.messages.len());
    for message in messages.messages {
        match wire::decode(message) {
            Ok(message) => decoded.push(message),
            Err(error) => {
                let count = MALFORMED.fetch_add(1, Ordering::Relaxed) + 1;
                if seldom.due() {
                    tracing::warn!(%from, %error, count, "a message from a peer was dropped");
                }
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use crate::directory::Directory;
    use crate::genesis::Cluster;
    use crate::peers::VERSION;
    use paxos::ids::NodeId;
    use proto::v1::{Genesis, GenesisVoter, PeerHello};
    use uuid::Uuid;

    fn cluster() -> Cluster {
        let voters = (1..=3).map(|node| GenesisVoter {
            node,
            disk_id: Uuid::from_u128(node.into()).to_string(),
            address: String::new(),
        });
        let genesis = Genesis {
            cluster_id: Uuid::from_u128(99).to_string(),
            cluster_name: "test".to_owned(),
            shard: 0,
            voters: voters.collect(),
            client_epoch: 0,
        };
        Cluster::of(genesis, Uuid::from_u128(1)).expect("valid")
    }

    fn authenticate(hello: &PeerHello) -> Result<NodeId, String> {
        let cluster = cluster();
        let directory = Directory::new(&cluster, &[], &wal::Peers::new());
        directory.note_registered(NodeId(1030), Uuid::from_u128(30), "h:30");
        super::authenticate(&cluster, &directory, hello)
    }

    fn hello() -> PeerHello {
        PeerHello {
            version: VERSION,
            cluster_id: Uuid::from_u128(99).to_string(),
            shard: 0,
            from: 2,
            to: 1,
            disk_id: Uuid::from_u128(2).to_string(),
            process: 7,
            address: "h:2".to_owned(),
            batch_version: 0,
        }
    }

    #[test]
    fn the_right_disk_speaks_for_its_node() {
        let joined = PeerHello {
            from: 1030,
            disk_id: Uuid::from_u128(30).to_string(),
            ..hello()
        };
        assert_eq!(authenticate(&joined), Ok(NodeId(1030)));
        assert_eq!(authenticate(&hello()), Ok(NodeId(2)));
    }

    #[test]
    fn everybody_else_is_refused_in_words() {
        let stranger = Uuid::from_u128(7).to_string();
        let cases = [
            (
                PeerHello {
                    version: 1,
                    ..hello()
                },
                "version",
            ),
            (
                PeerHello {
                    cluster_id: stranger.clone(),
                    ..hello()
                },
                "another cluster",
            ),
            (
                PeerHello {
                    shard: 1,
                    ..hello()
                },
                "shard",
            ),
            (PeerHello { to: 3, ..hello() }, "this is node 1"),
            (PeerHello { from: 9, ..hello() }, "none of the others"),
            (PeerHello { from: 1, ..hello() }, "none of the others"),
            (
                PeerHello {
                    disk_id: stranger,
                    ..hello()
                },
                "lost its disk",
            ),
        ];
        for (hello, words) in cases {
            let refused = authenticate(&hello).expect_err(words);
            assert!(refused.contains(words), "{words:?} is not in {refused:?}");
        }
    }
}
