//! Streams from other replicas: authenticated once, then every message checked.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::Stream;
use paxos::ids::NodeId;
use proto::v1::peer_server;
use proto::v1::{PeerFrame, PeerHello, PeerMessages, PeerReply, peer_frame::Kind};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::driver::Inbound;
use crate::errors::Refused;
use crate::genesis::Cluster;
use crate::limits::PEER_CONNECT_TIMEOUT;
use crate::logs::Seldom;
use crate::peers::VERSION;
use crate::role::{Member, Shared};
use crate::wire;

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct Peer(pub(crate) Arc<Shared>);

type Replies = Pin<Box<dyn Stream<Item = Result<PeerReply, Status>> + Send>>;

#[tonic::async_trait]
impl peer_server::Peer for Peer {
    type ExchangeStream = Replies;

    async fn exchange(
        &self,
        request: Request<Streaming<PeerFrame>>,
    ) -> Result<Response<Replies>, Status> {
        let mut frames = request.into_inner();
        let member = self.0.member().ok_or(Refused::Unformed)?;
        let first = tokio::time::timeout(PEER_CONNECT_TIMEOUT, frames.message());
        let first = first
            .await
            .map_err(|_| Refused::Bad("no hello came".to_owned()))??;
        let Some(Kind::Hello(hello)) = first.and_then(|frame| frame.kind) else {
            return Err(Refused::Bad("the first frame must be a hello".to_owned()).into());
        };
        let from = authenticate(&member.cluster, &hello).map_err(|why| {
            tracing::warn!(
                from = hello.from,
                disk = hello.disk_id,
                why,
                "a peer was refused"
            );
            Refused::Stranger(why)
        })?;
        let (replies, outgoing) = mpsc::channel(1);
        let node = member.cluster.node.0;
        // The channel is empty: there is room for one.
        let _ = replies.try_send(Ok(PeerReply { node }));
        tokio::spawn(receive(
            from,
            frames,
            Arc::clone(member),
            Arc::clone(&self.0),
            replies,
        ));
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}

/// Whether the dialler is who it says, and means this replica. The words go to its operator.
fn authenticate(cluster: &Cluster, hello: &PeerHello) -> Result<NodeId, String> {
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
    let voter = cluster.voters.get(&from).filter(|_| from != cluster.node);
    let voter = voter.ok_or_else(|| format!("node {} is none of the others", hello.from))?;
    if Uuid::try_parse(&hello.disk_id) != Ok(voter.disk_id) {
        return Err(format!(
            "node {} is disk {}, not {}: a replica that lost its disk is a new replica",
            hello.from, voter.disk_id, hello.disk_id
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
    shared: Arc<Shared>,
    _replies: mpsc::Sender<Result<PeerReply, Status>>,
) {
    let mut seldom = Seldom::default();
    loop {
        let frame = tokio::select! {
            frame = frames.message() => frame,
            () = shared.stopping.cancelled() => return,
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
        let messages = decode(from, messages, &mut seldom);
        tracing::trace!(%from, count = messages.len(), "messages from a peer");
        if member
            .driver
            .inbound
            .send(Inbound { from, messages })
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
    use super::authenticate;
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
        };
        Cluster::of(genesis, Uuid::from_u128(1)).expect("valid")
    }

    fn hello() -> PeerHello {
        PeerHello {
            version: VERSION,
            cluster_id: Uuid::from_u128(99).to_string(),
            shard: 0,
            from: 2,
            to: 1,
            disk_id: Uuid::from_u128(2).to_string(),
        }
    }

    #[test]
    fn the_right_disk_speaks_for_its_node() {
        assert_eq!(authenticate(&cluster(), &hello()), Ok(NodeId(2)));
    }

    #[test]
    fn everybody_else_is_refused_in_words() {
        let stranger = Uuid::from_u128(7).to_string();
        let cases = [
            (
                PeerHello {
                    version: 2,
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
            let refused = authenticate(&cluster(), &hello).expect_err(words);
            assert!(refused.contains(words), "{words:?} is not in {refused:?}");
        }
    }
}
