//! One replica from start to stop.

use std::sync::Arc;

use ops::shutdown::Token;
use tokio::net::TcpListener;
use wal::Wal;

use crate::config::Options;
use crate::driver::watch_space;
use crate::errors::Error;
use crate::limits::STOP_STREAMS;
use crate::membership::Membership;
use crate::role::{Member, Shared};
use crate::server;

/// How often waiters whose streams are gone are forgotten.
const SWEEP_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// Runs a replica on an open listener until `shutdown`.
pub async fn run(options: Options, listener: TcpListener, shutdown: Token) -> Result<(), Error> {
    let address = advertised(&options, &listener)?;
    let wal = open(&options).await?;
    let data = options.data.clone();
    let shared = Arc::new(Shared::new(wal, data, address, shutdown.clone()));
    let mut membership = Membership::new(&options.membership)?;
    let mut server = tokio::spawn(server::serve(listener, Arc::clone(&shared)));

    let wal = tokio::select! {
        wal = shared.unformed.until_confirmed() => wal,
        () = membership.register(&shared) => None,
        () = shutdown.cancelled() => None,
        ended = &mut server => return end_of_server(ended),
    };
    let Some(wal) = wal else {
        return stop_server(&mut server).await;
    };
    let (member, running) = start(&shared, wal, options.readers).await?;
    let space = tokio::spawn(watch_space(
        options.data.clone(),
        Arc::clone(&member.signals),
    ));

    let ended = tokio::select! {
        () = membership.beat(&shared, &member) => Ok(()),
        () = sweep(&member) => Ok(()),
        () = shutdown.cancelled() => Ok(()),
        ended = &mut server => end_of_server(ended),
    };
    // Everything ends by this token, also when the server ended by itself.
    shutdown.cancel();
    space.abort();
    running.stop().await;
    ended?;
    stop_server(&mut server).await
}

async fn open(options: &Options) -> Result<Wal, Error> {
    let (data, cluster) = (options.data.clone(), options.cluster.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let wal = Wal::open(&data)?;
        if !cluster.is_empty() {
            wal.require_cluster(&cluster)?;
        }
        Ok(wal)
    });
    opened
        .await
        .map_err(|_| Error::Panicked("opening the log"))?
}

async fn start(
    shared: &Arc<Shared>,
    wal: Wal,
    readers: usize,
) -> Result<(Arc<Member>, crate::role::Running), Error> {
    let context = Arc::clone(shared);
    let started = tokio::task::spawn_blocking(move || Member::start(&context, wal, readers));
    let (member, running) = started.await.map_err(|_| Error::Panicked("starting"))??;
    shared.become_member(Arc::clone(&member));
    Ok((member, running))
}

/// How the others reach this replica. A test listens on port 0 and gets one.
fn advertised(options: &Options, listener: &TcpListener) -> Result<String, Error> {
    let advertised = options.advertised();
    match advertised.rsplit_once(':') {
        Some((host, "0")) => {
            let bound = listener.local_addr().map_err(|source| Error::System {
                doing: "read the address of the listener",
                source,
            })?;
            Ok(format!("{host}:{}", bound.port()))
        }
        _ => Ok(advertised.to_owned()),
    }
}

async fn sweep(member: &Member) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        member.waiters.sweep();
    }
}

type Served = Result<Result<(), Error>, tokio::task::JoinError>;

fn end_of_server(ended: Served) -> Result<(), Error> {
    ended.map_err(|_| Error::Panicked("the gRPC server"))?
}

/// Gives the streams a moment to say goodbye.
async fn stop_server(server: &mut tokio::task::JoinHandle<Result<(), Error>>) -> Result<(), Error> {
    if server.is_finished() {
        return Ok(());
    }
    match tokio::time::timeout(STOP_STREAMS, &mut *server).await {
        Ok(ended) => end_of_server(ended),
        Err(_) => {
            tracing::debug!("some connections were open at the end");
            server.abort();
            Ok(())
        }
    }
}
