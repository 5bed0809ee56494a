//! One task per peer: keeps a stream to it open and feeds it from the outbox.

use std::sync::Arc;
use std::time::Duration;

use ops::shutdown::Token;
use proto::v1::peer_client::PeerClient;
use proto::v1::{PeerFrame, PeerMessages, PeerReply, peer_frame::Kind};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Code, Status};

use super::{Me, Peer};
use crate::directory::Directory;
use crate::errors::plain;
use crate::limits;
use crate::logs::Seldom;
use crate::{traces, wire};

/// The protocol version of the stream. 1 knew one epoch only.
pub(crate) const VERSION: u32 = 2;

/// How a stream ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("cannot reach it: {0}")]
    Unreachable(#[source] tonic::transport::Error),
    #[error("it does not answer")]
    Silent,
    #[error("it refuses this replica: {0}")]
    Refused(String),
    #[error("the stream broke: {0}")]
    Broken(String),
}

/// Keeps the stream to `peer` open until `shutdown`.
pub(crate) async fn keep_connected(
    peer: Arc<Peer>,
    me: Arc<Me>,
    directory: Arc<Directory>,
    shutdown: Token,
) {
    let mut seldom = Seldom::default();
    let mut wait = limits::PEER_RECONNECT_MIN;
    loop {
        me.demo.until_whole().await;
        let started = Instant::now();
        // Read at each attempt: a node may move.
        let address = directory.address_of(peer.node).unwrap_or_default();
        let ended = tokio::select! {
            ended = stream(&peer, &me, &address) => ended,
            () = me.demo.until_cut_off() => Ended::Broken("it is cut off, for a demo".to_owned()),
            () = shutdown.cancelled() => return,
        };
        if peer.outbox.is_open() {
            // It was fine until now. One that lasted begins with the shortest wait again.
            seldom.reset();
            if started.elapsed() > limits::PEER_RECONNECT_MAX {
                wait = limits::PEER_RECONNECT_MIN;
            }
        }
        peer.outbox.set_open(false);
        report(&peer, &address, &ended, &mut seldom);
        tokio::select! {
            () = tokio::time::sleep(jittered(wait)) => {}
            () = shutdown.cancelled() => return,
        }
        wait = (wait * 2).min(limits::PEER_RECONNECT_MAX);
    }
}

/// Replicas that lost the same peer at the same moment should not come back together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::random_range(0.75..1.25))
}

fn report(peer: &Peer, address: &str, ended: &Ended, seldom: &mut Seldom) {
    let node = peer.node;
    match ended {
        // A person has to do something about it.
        Ended::Refused(why) => {
            if seldom.due() {
                tracing::error!(%node, address, why, "a peer refuses this replica");
            }
        }
        _ => {
            if seldom.due_if_lasting() {
                tracing::warn!(
                    %node, address, error = ops::errors::chain(ended), dropped = peer.outbox.dropped(),
                    "no stream to a peer; trying again"
                );
            }
        }
    }
}

/// Opens one stream and feeds it until it ends.
async fn stream(peer: &Peer, me: &Me, address: &str) -> Ended {
    let endpoint = match endpoint(address) {
        Ok(endpoint) => endpoint,
        Err(error) => return Ended::Unreachable(error),
    };
    let connecting = me.tls.connect(&endpoint, &[tls::Role::Replica]);
    let channel = match timeout(limits::PEER_CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(channel)) => channel,
        Ok(Err(error)) => return Ended::Unreachable(error),
        Err(_) => return Ended::Silent,
    };
    let (frames, outgoing) = mpsc::channel(limits::PEER_FRAMES_READY_MAX);
    // The channel is empty: the hello is its first frame.
    let hello = PeerFrame {
        kind: Some(Kind::Hello(me.hello(peer.node))),
    };
    if frames.send(hello).await.is_err() {
        return Ended::Silent;
    }
    let mut client = PeerClient::new(channel);
    let exchange = client.exchange(ReceiverStream::new(outgoing));
    let mut replies = match timeout(limits::PEER_HELLO_TIMEOUT, exchange).await {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return refused_or_broken(&status),
        Err(_) => return Ended::Silent,
    };
    match timeout(limits::PEER_HELLO_TIMEOUT, replies.message()).await {
        Ok(Ok(Some(reply))) if reply.node == peer.node.0 => {}
        Ok(Ok(Some(reply))) => return Ended::Refused(format!("it is node {}", reply.node)),
        Ok(Ok(None)) => return Ended::Broken("it ended".to_owned()),
        Ok(Err(status)) => return refused_or_broken(&status),
        Err(_) => return Ended::Silent,
    }
    tracing::info!(node = %peer.node, address, "stream to a peer is open");
    peer.outbox.set_open(true);
    tokio::select! {
        () = feed(peer, &frames) => Ended::Broken("it takes no more frames".to_owned()),
        ended = listen(peer, replies) => ended,
    }
}

/// Little more is said on the stream; its end is the news that the peer is gone.
async fn listen(peer: &Peer, mut replies: tonic::Streaming<PeerReply>) -> Ended {
    loop {
        match replies.message().await {
            Ok(Some(reply)) if !reply.rival.is_empty() => tracing::error!(
                node = %peer.node, rival = reply.rival,
                "another process runs on a copy of this replica's data directory and was refused; \
                 stop it, and start it on an empty directory: it joins as a new node"
            ),
            Ok(Some(_)) => {}
            Ok(None) => return Ended::Broken("it ended".to_owned()),
            Err(status) => return refused_or_broken(&status),
        }
    }
}

fn refused_or_broken(status: &Status) -> Ended {
    match status.code() {
        Code::Unauthenticated => Ended::Refused(status.message().to_owned()),
        _ => Ended::Broken(plain(status)),
    }
}

/// Moves frames from the outbox into the stream. While the peer does not read, the outbox
/// fills and drops; nobody else waits.
async fn feed(peer: &Peer, frames: &mpsc::Sender<PeerFrame>) {
    loop {
        // Only when the transport has room: until then messages gather into one frame.
        let Ok(room) = frames.reserve().await else {
            return;
        };
        let frame = peer.outbox.next_frame().await;
        let frame = PeerMessages {
            messages: frame.messages.iter().map(wire::encode).collect(),
            traces: traces::to_wire(&frame.traces),
        };
        room.send(PeerFrame {
            kind: Some(Kind::Messages(frame)),
        });
    }
}

/// How other replicas are dialled.
pub(crate) fn endpoint(address: &str) -> Result<Endpoint, tonic::transport::Error> {
    let window = u32::try_from(limits::PEER_QUEUE_BYTES_MAX).unwrap_or(u32::MAX >> 1);
    Ok(Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(limits::PEER_CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(limits::PEER_KEEPALIVE)
        .keep_alive_timeout(limits::PEER_KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(window)
        .initial_connection_window_size(window))
}
