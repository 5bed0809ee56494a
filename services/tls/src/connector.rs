//! How a client opens a connection: TCP, then the handshake with the certificate of this moment.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::Uri;
use tower::Service;

use crate::identity::Role;
use crate::trust::Trust;

/// Opens connections to services of some roles. Time limits are the endpoint's.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    trust: Arc<Trust>,
    to: &'static [Role],
}

impl Connector {
    pub(crate) const fn new(trust: Arc<Trust>, to: &'static [Role]) -> Self {
        Self { trust, to }
    }
}

type Opened = Result<TokioIo<TlsStream<TcpStream>>, io::Error>;

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Opened> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(open(Arc::clone(&self.trust), self.to, uri))
    }
}

async fn open(trust: Arc<Trust>, to: &'static [Role], uri: Uri) -> Opened {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{uri}: {what}"));
    let host = uri.host().ok_or_else(|| wrong("no host"))?;
    let port = uri.port_u16().ok_or_else(|| wrong("no port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let connection = TcpStream::connect((host, port)).await?;
    connection.set_nodelay(true)?;
    let config = trust.current().client(to).map_err(io::Error::other)?;
    // Nobody looks at it: whoever answers is known by its role. An address is never sent.
    let name = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST).into());
    let connected = TlsConnector::from(Arc::new(config)).connect(name, connection);
    Ok(TokioIo::new(connected.await?))
}
