//! The public port: from a connection to requests.
//!
//! In: TCP from anybody. Out: requests with complete heads. Must hold: what a stranger costs is
//! bounded, in places, bytes and time, before anything of the chat is asked; one address cannot take
//! the places of the others.

pub(crate) mod places;
pub(crate) mod proxies;
mod timed;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, StatusCode};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ops::shutdown::Token as Stop;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;
use tower::Service as _;

use crate::app::App;
use crate::config::Options;
use crate::limits::ACCEPT_PAUSE;
use crate::metrics::{METRICS, Refused};
use crate::stack;

use places::{Place, Places};
use timed::{Busy, Patience, Phase, Timed};

/// An extension of requests that came over our own TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encrypted;

/// What every connection needs.
pub(crate) struct Port {
    places: Arc<Places>,
    service: Router,
    http: http1::Builder,
    patience: Patience,
    /// `None`: plain HTTP.
    certificate: Option<Arc<tls::Public>>,
    stop: Stop,
}

impl Port {
    /// Serves the app until `stop`.
    pub(crate) fn new(app: &Arc<App>, certificate: Option<Arc<tls::Public>>, stop: Stop) -> Self {
        Self {
            places: Arc::clone(&app.places),
            service: stack::service(Arc::clone(app)),
            http: http(&app.options),
            patience: Patience::new(&app.options),
            certificate,
            stop,
        }
    }

    /// Accepts until the stop, then waits for the requests at work.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let port = Arc::new(self);
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = port.stop.cancelled() => break,
            };
            let (connection, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            match port.places.connection(peer.ip()) {
                Ok(place) => {
                    connections.spawn(Arc::clone(&port).welcome(connection, peer, place));
                }
                // Closed without a word: a word costs more than the connection.
                Err(why) => METRICS.refused(why),
            }
        }
        drop(listener);
        connections.close();
        connections.wait().await;
    }

    async fn welcome(self: Arc<Self>, connection: TcpStream, peer: SocketAddr, place: Place) {
        // A chat's frames are small and each is waited for.
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let Some(certificate) = &self.certificate else {
            return self.speak(connection, peer, place).await;
        };
        match timeout(self.patience.head, certificate.accept(connection)).await {
            Ok(Ok(stream)) => self.speak(stream, peer, place).await,
            Ok(Err(error)) => {
                METRICS.refused(Refused::Handshake);
                tracing::debug!(%peer, %error, "no TLS");
            }
            Err(_) => METRICS.refused(Refused::Handshake),
        }
    }

    async fn speak<S>(&self, stream: S, peer: SocketAddr, place: Place)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let phase = Phase::new();
        let stream = Timed::new(stream, Arc::clone(&phase), self.patience, place);
        let encrypted = self.certificate.is_some();
        let service = service_fn(|mut request: Request<Incoming>| {
            let (phase, busy) = (Arc::clone(&phase), phase.begin());
            request.extensions_mut().insert(ConnectInfo(peer));
            if encrypted {
                request.extensions_mut().insert(Encrypted);
                // As a proxy that ends TLS in front would say it.
                let https = HeaderValue::from_static("https");
                request.headers_mut().insert("x-forwarded-proto", https);
            }
            let answer = self.service.clone().call(request);
            async move {
                let answer = answer.await?;
                if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                    phase.upgraded();
                }
                Ok::<_, std::convert::Infallible>(answer.map(|body| Answer { body, _busy: busy }))
            }
        });
        let http = self.http.serve_connection(TokioIo::new(stream), service);
        let mut http = std::pin::pin!(http.with_upgrades());
        let ended = tokio::select! {
            ended = http.as_mut() => ended,
            () = self.stop.cancelled() => {
                http.as_mut().graceful_shutdown();
                http.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection ended");
        }
    }
}

/// How heads are read: above the bounds hyper answers 431.
fn http(options: &Options) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // `Timed` tells a slow head from a connection between two requests.
        .header_read_timeout(None)
        .max_headers(options.head_lines as usize)
        .max_header_size(options.head_bytes as usize);
    http
}

/// The body of an answer; the request is at work until its last piece is taken.
struct Answer {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
