//! The connections of a server, each with who is at its other end.
//!
//! In: TCP. Out: connections whose handshake is done. Must hold: one that takes its time holds up
//! no other one, and what strangers do costs a bounded amount of memory, time and log.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use rustls::server::ServerConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tonic::transport::server::Connected;

use crate::identity::{Identity, Role};
use crate::limits::{
    ACCEPT_PAUSE, HANDSHAKE_TIMEOUT, HANDSHAKES_MAX, READY_MAX, REFUSED_SAID_EVERY,
};
use crate::trust::Trust;

/// Who is at the other end; an extension of every request.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it comes from.
    pub address: Option<SocketAddr>,
    /// By its certificate; `None`: plain text.
    pub identity: Option<Identity>,
}

impl Peer {
    /// The role of whoever sent a request; `None`: plain text, nobody can say.
    #[must_use]
    pub fn role<T>(request: &tonic::Request<T>) -> Option<Role> {
        let peer = request.extensions().get::<Self>()?;
        peer.identity.as_ref().map(|identity| identity.role)
    }
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: Transport,
    peer: Peer,
}

#[derive(Debug)]
enum Transport {
    Plain(TcpStream),
    /// Boxed: rustls keeps much in place, and most moves are of the other kind.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

/// All connections, as tonic serves them.
#[derive(Debug)]
pub struct Incoming(mpsc::Receiver<Connection>);

impl Incoming {
    pub(crate) fn start(listener: TcpListener, trust: Option<Arc<Trust>>) -> Self {
        let (ready, connections) = mpsc::channel(READY_MAX);
        tokio::spawn(accept(listener, trust, ready));
        Self(connections)
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|next| next.map(Ok))
    }
}

/// Accepts until the server is gone.
async fn accept(listener: TcpListener, trust: Option<Arc<Trust>>, ready: mpsc::Sender<Connection>) {
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let refusals = Arc::new(Refusals::default());
    // Dropped with this task, and with it every handshake that is not done.
    let mut handshakes = JoinSet::new();
    loop {
        let next = tokio::select! {
            next = next(&listener, &places) => next,
            () = ready.closed() => return,
        };
        while handshakes.try_join_next().is_some() {}
        let Some((connection, address, place)) = next else {
            continue;
        };
        let Some(trust) = &trust else {
            let stream = Transport::Plain(connection);
            let peer = Peer {
                address: Some(address),
                identity: None,
            };
            if ready.send(Connection { stream, peer }).await.is_err() {
                return;
            }
            continue;
        };
        let (trust, ready, refusals) = (Arc::clone(trust), ready.clone(), Arc::clone(&refusals));
        handshakes.spawn(async move {
            let known = greet(&trust, connection, address).await;
            // The place is for the handshake alone.
            drop(place);
            match known {
                // The server may be gone by now.
                Ok(connection) => drop(ready.send(connection).await),
                Err(why) => refusals.say(address, &why),
            }
        });
    }
}

async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    // Never closed.
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((connection, address)) => {
            // Each message is one of many in a conversation: never wait to fill a packet.
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY");
            }
            Some((connection, address, place))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// The handshake, and whether whoever comes is of the cluster.
async fn greet(
    trust: &Trust,
    connection: TcpStream,
    address: SocketAddr,
) -> Result<Connection, String> {
    let material = trust.current();
    let acceptor = TlsAcceptor::from(Arc::clone(&material.server));
    let stream = match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(connection)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(format!("no TLS with a certificate of ours: {error}")),
        Err(_) => return Err(format!("no handshake within {HANDSHAKE_TIMEOUT:?}")),
    };
    let identity = who(stream.get_ref().1)?;
    if identity.cluster != material.identity.cluster {
        let own = &material.identity.cluster;
        return Err(format!("it is {identity}, not of this cluster, {own}"));
    }
    Ok(Connection {
        stream: Transport::Tls(Box::new(stream)),
        peer: Peer {
            address: Some(address),
            identity: Some(identity),
        },
    })
}

fn who(connection: &ServerConnection) -> Result<Identity, String> {
    let certificates = connection.peer_certificates().unwrap_or_default();
    // The verifier insists on one.
    let leaf = certificates.first().ok_or("it has no certificate")?;
    Identity::of(leaf).map_err(|unfit| unfit.to_string())
}

/// Says what was refused, but not more often than a person reads.
#[derive(Debug, Default)]
struct Refusals(Mutex<(Option<Instant>, u64)>);

impl Refusals {
    fn say(&self, address: SocketAddr, why: &str) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, unsaid) = &mut *state;
        if last.is_some_and(|last| last.elapsed() < REFUSED_SAID_EVERY) {
            *unsaid += 1;
            return;
        }
        *last = Some(Instant::now());
        let others = std::mem::take(unsaid);
        tracing::warn!(%address, why, others, "a connection was refused");
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Transport::Tls(stream) => {
                Pin::new(stream.as_mut()).poll_write_vectored(context, slices)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}
