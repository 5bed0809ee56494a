//! The life of the process: start, serve, stop without losing an acknowledgement.

use std::io;
use std::sync::Arc;

use ops::shutdown::Token as Stop;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::app::App;
use crate::config::Options;
use crate::limits::{CLOSE_PATIENCE, DRAIN_PATIENCE};
use crate::port::Port;
use crate::{announce, metrics};

/// The gateway could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The public port failed.
    #[error("the HTTP server ended: {0}")]
    Serve(#[from] io::Error),
    /// The port of the metrics cannot be had.
    #[error("{0}")]
    Metrics(#[from] ops::net::Error),
    /// The certificate for the other services cannot be used.
    #[error("the setting tls: {0}")]
    Tls(#[from] tls::Error),
    /// The certificate for people cannot be used.
    #[error("the setting public_tls: {0}")]
    PublicTls(#[source] tls::Error),
}

/// Serves on `listener` until `stop` is cancelled, then says good-bye to everybody, waits for
/// the acknowledgements in flight (at most 3 s) and ends.
///
/// # Errors
/// When a certificate cannot be used or the public port fails.
pub async fn run(options: Options, listener: TcpListener, stop: Stop) -> Result<(), Error> {
    let tls = tls::Mutual::start(&options.tls, tls::Role::Gateway)?;
    let certificate = match options.public_tls.as_os_str().is_empty() {
        true => None,
        false => Some(tls::Public::start(&options.public_tls).map_err(Error::PublicTls)?),
    };
    let app = App::start(options, tls);
    tokio::spawn(announce::run(Arc::clone(&app)));
    let served = Stop::new();
    let (registry, refresh) = metrics::registry(Arc::clone(&app));
    let (listen, setting) = (&app.options.metrics, "CHATTERBOX_GATEWAY_METRICS");
    ops::metrics::serve(listen, setting, registry, refresh, served.clone()).await?;
    let port = Port::new(&app, certificate, served.clone());
    let mut server = tokio::spawn(port.serve(listener));
    tokio::select! {
        ended = &mut server => return flat(ended),
        () = stop.cancelled() => {}
    }
    drain(&app).await;
    served.cancel();
    match timeout(CLOSE_PATIENCE, &mut server).await {
        Ok(ended) => flat(ended),
        // Somebody keeps an idle connection: nothing is lost with it.
        Err(_) => {
            server.abort();
            Ok(())
        }
    }
}

/// Everybody hears `bye`; whoever waits for an acknowledgement gets it, if it comes in time.
/// Health says 503 meanwhile, so that a load balancer sends nobody new.
async fn drain(app: &App) {
    app.stopping.cancel();
    app.hub.drain();
    app.sockets.close();
    tracing::info!(sockets = app.sockets.len(), "drains");
    if timeout(DRAIN_PATIENCE + CLOSE_PATIENCE, app.sockets.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            sockets = app.sockets.len(),
            "stops with sockets that did not close"
        );
    }
}

fn flat(ended: Result<(), tokio::task::JoinError>) -> Result<(), Error> {
    ended.map_err(|error| Error::Serve(io::Error::other(error)))
}
