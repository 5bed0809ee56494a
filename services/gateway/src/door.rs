//! The public port: who gets in, how long anything may take, and how all of them leave.
//!
//! In: TCP, with TLS when there is a certificate. Out: requests for the [`stack`](crate::stack). Must
//! hold: whoever says nothing, or says it slowly, or does not listen, loses the connection within a
//! bounded time and costs a bounded amount of memory; the others notice nothing.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ops::shutdown::Token as Stop;
use tls::{Public, Refusals};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::limits::{
    ACCEPT_PAUSE, CONNECTION_LIFE, HEAD_BYTES_MAX, HEAD_TIMEOUT, HEADERS_MAX, LAST_ANSWER,
};
use crate::metrics::{METRICS, Unwanted};
use crate::visitors::{Full, Place, Visitors};

/// What every connection needs.
struct Door {
    router: Router,
    visitors: Arc<Visitors>,
    certificate: Option<Public>,
    refusals: Refusals,
    stop: Stop,
}

/// Serves until `stop`, then lets the answers that are under way end.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    visitors: Arc<Visitors>,
    certificate: Option<Public>,
    stop: Stop,
) {
    let door = Arc::new(Door {
        router,
        visitors,
        certificate,
        refusals: Refusals::default(),
        stop: stop.clone(),
    });
    let inside = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, address)) => match door.visitors.enter(address.ip()) {
                Ok(place) => {
                    inside.spawn(Arc::clone(&door).attend(stream, address, place));
                }
                Err(full) => door.refuse(address, full),
            },
            Err(error) => {
                // Most often no more files: the ones that are open will end.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Nobody new gets in while the others leave.
    drop(listener);
    inside.close();
    inside.wait().await;
}

impl Door {
    fn refuse(&self, address: SocketAddr, full: Full) {
        let (reason, why) = match full {
            Full::All => (
                Unwanted::All,
                "as many connections as the setting connections allows are open",
            ),
            Full::Address => (
                Unwanted::Address,
                "this address has as many as the setting connections_per_address allows",
            ),
        };
        METRICS.unwanted(reason);
        self.refusals.say(address, why);
    }

    async fn attend(self: Arc<Self>, stream: TcpStream, address: SocketAddr, place: Place) {
        // A chat's frames are small and each is waited for.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let Some(certificate) = &self.certificate else {
            return self.converse(stream, address, place).await;
        };
        match certificate.accept(stream).await {
            Ok(stream) => self.converse(stream, address, place).await,
            Err(why) => {
                METRICS.unwanted(Unwanted::Handshake);
                tracing::debug!(%address, why, "no handshake");
            }
        }
    }

    /// One connection to its end, or until it has become a WebSocket.
    async fn converse<S>(&self, stream: S, address: SocketAddr, place: Place)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(Counted {
            stream,
            _place: place,
        });
        let asked = AtomicBool::new(false);
        let service = service_fn(|request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            let mut request = request.map(Body::new);
            // By which tries of passwords and requests are counted.
            request.extensions_mut().insert(ConnectInfo(address));
            self.router.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(io, service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = self.stop.cancelled() => None,
            // Who reads too slowly would hold an answer for ever.
            () = sleep(CONNECTION_LIFE) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                let Ok(ended) = timeout(LAST_ANSWER, connection).await else {
                    return METRICS.unwanted(Unwanted::Slow);
                };
                ended
            }
        };
        if let Err(error) = ended {
            // Whoever had an answer and asks no more is idle, not slow.
            if error.is_timeout() && !asked.load(Ordering::Relaxed) {
                METRICS.unwanted(Unwanted::Slow);
            } else if error.is_parse() {
                METRICS.unwanted(Unwanted::Malformed);
            }
            tracing::debug!(%address, %error, "a connection ended");
        }
    }
}

/// A connection with its place, which it keeps when it becomes a WebSocket.
struct Counted<S> {
    stream: S,
    _place: Place,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
