//! One replica from start to stop.

use std::path::Path;
use std::sync::Arc;

use machine::snapshot::Verified;
use ops::shutdown::Token;
use paxos::config::Configuration;
use paxos::ids::{Epoch, NodeId};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use wal::Wal;

use crate::config::Options;
use crate::directory::Directory;
use crate::driver::{End, watch_space};
use crate::errors::Error;
use crate::failpoints;
use crate::leave::leave;
use crate::limits::{FREE_EVERY, REMOVED_EVERY, STOP_STREAMS, SWEEP_EVERY};
use crate::membership::Membership;
use crate::metrics;
use crate::notices;
use crate::peers::Me;
use crate::quarantine::Quarantine;
use crate::retire;
use crate::role::{Member, Outcome, Recovered, Shared, Stage, Unformed, cluster_of, state_file};
use crate::scrub;
use crate::server;
use crate::snapshots::fetch::{Wanted, fetch};

/// Runs a replica on an open listener until `shutdown`.
///
/// A replica whose files must not be used stays up in quarantine, so that it can say why.
///
/// # Errors
///
/// When another process has the directory, or the system fails.
pub async fn run(options: Options, listener: TcpListener, shutdown: Token) -> Result<(), Error> {
    let address = advertised(&options, &listener)?;
    let data = options.data.clone();
    let tls = tls::Mutual::start(&options.tls, tls::Role::Replica)?;
    let shared = Arc::new(Shared::new(data, address, tls, Token::new()));
    let (registry, refresh) = metrics::registry(Arc::clone(&shared));
    let (listen, setting) = (&options.metrics, "CHATTERBOX_REPLICA_METRICS");
    let stopping = shared.stopping.clone();
    ops::metrics::serve(listen, setting, registry, refresh, stopping).await?;
    let leaving = tokio::spawn(leave(Arc::clone(&shared), shutdown));
    let ended = open_and_serve(&shared, &options, listener).await;
    leaving.abort();
    ended
}

async fn open_and_serve(
    shared: &Arc<Shared>,
    options: &Options,
    listener: TcpListener,
) -> Result<(), Error> {
    // Before anything is served, so that who this disk is can be told from the first answer on.
    let opened = open(shared, options).await.map(|wal| enter(shared, wal));
    if let Err(error) = opened {
        if !matches!(error, Error::LowSpace(_)) && Quarantine::of(&error).is_none() {
            return Err(error);
        }
        return serve(shared, options, listener, Err(error)).await;
    }
    serve(shared, options, listener, opened).await
}

/// Serves while the replica lives, or stands in quarantine.
async fn serve(
    shared: &Arc<Shared>,
    options: &Options,
    listener: TcpListener,
    opened: Result<Opened, Error>,
) -> Result<(), Error> {
    let mut server = tokio::spawn(server::serve(listener, Arc::clone(shared), options.demo));
    let life = async {
        let lived = live(shared, options, opened).await;
        match lived.as_ref().err().and_then(Quarantine::of) {
            Some(found) => {
                quarantine(shared, found).await;
                Ok(())
            }
            None => lived,
        }
    };
    let ended = tokio::select! {
        lived = life => lived,
        ended = &mut server => end_of_server(ended),
    };
    // Everything ends by this token, also when something ended by itself.
    shared.stopping.cancel();
    ended?;
    stop_server(&mut server).await
}

/// From the log to the end. Whatever happens on the way, no vote is given before disk and state
/// agree.
async fn live(
    shared: &Arc<Shared>,
    options: &Options,
    opened: Result<Opened, Error>,
) -> Result<(), Error> {
    let mut membership = Membership::new(&options.membership, &shared.tls)?;
    let mut arrived = None;
    let mut first = Some(opened);
    while !shared.stopping.is_cancelled() {
        let opened = match first.take() {
            Some(Err(Error::LowSpace(_))) | None => open_when_roomy(shared, options).await?,
            Some(opened) => Some(opened?),
        };
        let Some(opened) = opened else {
            return Ok(());
        };
        let Some(wal) = belong(shared, &mut membership, opened).await else {
            return Ok(());
        };
        let Some(recovered) = recover(shared, &mut membership, wal, arrived.take()).await? else {
            return Ok(());
        };
        arrived = take_part(shared, options, &mut membership, recovered).await?;
    }
    Ok(())
}

/// Opens the log. A disk that is nearly full may have room later.
async fn open_when_roomy(shared: &Arc<Shared>, options: &Options) -> Result<Option<Opened>, Error> {
    loop {
        let error = match open(shared, options).await {
            Err(error @ Error::LowSpace(_)) => error,
            other => return other.map(|wal| Some(enter(shared, wal))),
        };
        let why = ops::errors::chain(&error);
        let known = matches!(shared.stage(), Stage::Restoring(said) if *said == *why);
        if !known {
            tracing::error!(why, "this replica waits for space on its disk");
            shared.set_stage(Stage::Restoring(why.into()));
        }
        let nap = tokio::time::sleep(FREE_EVERY);
        if shared.stopping.run_until_cancelled(nap).await.is_none() {
            return Ok(None);
        }
    }
}

async fn open(shared: &Shared, options: &Options) -> Result<Wal, Error> {
    let (data, cluster) = (options.data.clone(), options.cluster.clone());
    // A disk of one cluster does not speak with a certificate of another one.
    let certified = shared.tls.identity().map(|identity| identity.cluster);
    let opened = tokio::task::spawn_blocking(move || {
        retire::finish(&data)?;
        let wal = Wal::open(&data)?;
        if !cluster.is_empty() {
            wal.require_cluster(&cluster)?;
        }
        if let Some(certified) = certified {
            wal.require_cluster(&certified)?;
        }
        Ok(wal)
    });
    opened
        .await
        .map_err(|_| Error::Panicked("opening the log"))?
}

/// An open log, and whether it belongs to a cluster.
enum Opened {
    Unformed(Arc<Unformed>),
    Confirmed(Box<Wal>),
}

fn enter(shared: &Shared, wal: Wal) -> Opened {
    shared.set_identity(wal.identity().clone());
    shared.set_voted(is_known_voter(&wal));
    if wal.identity().confirmed {
        shared.set_stage(Stage::Starting);
        return Opened::Confirmed(Box::new(wal));
    }
    let unformed = Arc::new(Unformed::new(wal));
    shared.set_stage(Stage::Unformed(Arc::clone(&unformed)));
    Opened::Unformed(unformed)
}

/// Whether the log says that its node votes, or has voted: the first voters all have.
fn is_known_voter(wal: &Wal) -> bool {
    let Some(genesis) = &wal.identity().genesis else {
        return false;
    };
    let named = |configuration: &Configuration| configuration.voters.contains(&genesis.node_id);
    genesis.node_id <= NodeId::GENESIS_MAX || wal.configuration().is_some_and(named)
}

/// Waits until the disk belongs to a cluster. `None`: the process stops.
async fn belong(shared: &Arc<Shared>, membership: &mut Membership, opened: Opened) -> Option<Wal> {
    let unformed = match opened {
        Opened::Confirmed(wal) => return Some(*wal),
        Opened::Unformed(unformed) => unformed,
    };
    let wal = tokio::select! {
        wal = unformed.until_confirmed() => wal,
        () = membership.register(shared) => None,
        () = shared.stopping.cancelled() => None,
    };
    shared.set_stage(Stage::Starting);
    wal
}

/// Brings disk and state to the same slot; with a snapshot of another replica, if need be.
async fn recover(
    shared: &Arc<Shared>,
    membership: &mut Membership,
    mut wal: Wal,
    mut arrived: Option<Verified>,
) -> Result<Option<Recovered>, Error> {
    loop {
        let (data, snapshot) = (shared.data().to_path_buf(), arrived.take());
        let recovered =
            tokio::task::spawn_blocking(move || Recovered::from(wal, &data, snapshot)).await;
        let (behind, at_least, why) =
            match recovered.map_err(|_| Error::Panicked("bringing the state forward"))?? {
                Outcome::Ready(recovered) => return Ok(Some(*recovered)),
                Outcome::Behind { wal, at_least, why } => (*wal, at_least, why),
            };
        tracing::warn!(why, "this replica fetches its state from another one");
        shared.set_stage(Stage::Restoring(why.into()));
        let cluster = cluster_of(&behind)?;
        let others = Directory::new(&cluster, &[], &behind.peers()?);
        let me = Me {
            cluster,
            address: shared.address.clone(),
            process: shared.process,
            tls: shared.tls.clone(),
            demo: shared.demo.clone(),
        };
        let wanted = Wanted {
            first: None,
            at_least,
        };
        arrived = tokio::select! {
            arrived = fetch(&me, &others, shared.data(), wanted) => Some(arrived),
            () = membership.hint(&others) => None,
            () = shared.stopping.cancelled() => None,
        };
        if arrived.is_none() {
            return Ok(None);
        }
        failpoints::pass(failpoints::AFTER_SNAPSHOT_FETCHED);
        wal = behind;
    }
}

/// Runs as a member until the process stops, or until a snapshot has arrived that the log alone
/// cannot replace: then everything that has the state open is closed first.
async fn take_part(
    shared: &Arc<Shared>,
    options: &Options,
    membership: &mut Membership,
    recovered: Recovered,
) -> Result<Option<Verified>, Error> {
    let (context, settings) = (Arc::clone(shared), options.clone());
    let started =
        tokio::task::spawn_blocking(move || Member::start(&context, recovered, &settings));
    let (member, running) = started.await.map_err(|_| Error::Panicked("starting"))??;
    shared.set_stage(Stage::Member(Arc::clone(&member)));
    let signals = Arc::clone(&member.signals);
    let space = tokio::spawn(watch_space(options.data.clone(), signals));
    let ended = tokio::select! {
        () = membership.beat(shared, &member) => Ended::Stopping,
        () = sweep(&member) => Ended::Stopping,
        () = notices::post(&member) => Ended::Stopping,
        () = scrub::log(&member) => Ended::Stopping,
        () = scrub::state(&member) => Ended::Stopping,
        ended = end_of(&member, shared) => ended,
        epoch = removed(&member, shared) => Ended::Removed(epoch),
        () = shared.stopping.cancelled() => Ended::Stopping,
    };
    space.abort();
    member.stop.cancel();
    match ended {
        Ended::Stopping => {
            running.stop().await;
            Ok(None)
        }
        Ended::Arrived(snapshot, damage) => {
            failpoints::pass(failpoints::AFTER_SNAPSHOT_FETCHED);
            shared.set_stage(Stage::Restoring("a snapshot is being installed".into()));
            running.end().await;
            if let Some(found) = damage {
                condemn(shared.data(), &found).await?;
            }
            Ok(Some(snapshot))
        }
        Ended::Removed(epoch) => {
            let (node, data) = (member.cluster.node, shared.data().to_path_buf());
            shared.set_stage(Stage::Restoring("it was removed and begins anew".into()));
            running.end().await;
            let retired = tokio::task::spawn_blocking(move || retire::retire(&data, node, epoch));
            retired
                .await
                .map_err(|_| Error::Panicked("moving files aside"))??;
            Ok(None)
        }
        Ended::Halted(found) => {
            let quarantined = quarantine(shared, found);
            let (_, ()) = tokio::join!(quarantined, running.stop());
            Ok(None)
        }
    }
}

/// Why a member ends.
enum Ended {
    Stopping,
    /// This snapshot is to become the state; what is damaged in the one that is there, if it is.
    Arrived(Verified, Option<Arc<str>>),
    /// This epoch began without it.
    Removed(Epoch),
    Halted(Quarantine),
}

/// Waits for news that end a member; fetches the snapshot that it needs meanwhile. With a damaged
/// state it goes on until then: what is whole of it can be served, and perhaps nobody has a better.
async fn end_of(member: &Arc<Member>, shared: &Arc<Shared>) -> Ended {
    let mut ends = member.driver.watch_end();
    let mut fetching: Option<JoinHandle<Verified>> = None;
    let mut damage: Option<Arc<str>> = None;
    loop {
        let wanted = tokio::select! {
            changed = ends.changed() => {
                if changed.is_err() {
                    return Ended::Stopping;
                }
                let end = *ends.borrow_and_update();
                match end {
                    Some(End::Halted(reason)) => return Ended::Halted(Quarantine::halted(reason)),
                    Some(End::Behind { from, at_least }) => {
                        Some(Wanted { first: Some(from), at_least })
                    }
                    None => None,
                }
            }
            found = member.signals.state_damaged(), if damage.is_none() => {
                damage = Some(found);
                // The log here must reach back to it.
                Some(Wanted { first: None, at_least: member.signals.log_begins_after() })
            }
            fetched = fetched(&mut fetching) => {
                fetching = None;
                if let Ok(snapshot) = fetched {
                    return Ended::Arrived(snapshot, damage);
                }
                None
            }
        };
        // One at a time: a later need is met by the next snapshot, if it still is one.
        if let Some(wanted) = wanted
            && fetching.is_none()
        {
            fetching = Some(start_fetch(member, shared, wanted));
        }
    }
}

/// Notes that the state is damaged, so that it is moved aside before the next one is installed.
async fn condemn(data: &Path, found: &str) -> Result<(), Error> {
    let path = state_file(data);
    let found = found.to_owned();
    let noted = tokio::task::spawn_blocking(move || {
        let why = machine::Error::Damaged {
            path: path.clone(),
            found,
        };
        machine::snapshot::condemn(&path, &why)
    });
    Ok(noted
        .await
        .map_err(|_| Error::Panicked("noting the damage"))??)
}

/// Waits until this node, which voted, is left out by a decided configuration, and whoever votes
/// in it needs nothing of this disk any more: its `Ready` is decided.
async fn removed(member: &Member, shared: &Shared) -> Epoch {
    loop {
        tokio::time::sleep(REMOVED_EVERY).await;
        let status = member.driver.status();
        if status.is_voter {
            shared.set_voted(true);
        } else if shared.has_voted() && status.active && status.ready {
            return status.configuration.epoch;
        }
    }
}

fn start_fetch(member: &Arc<Member>, shared: &Arc<Shared>, wanted: Wanted) -> JoinHandle<Verified> {
    tracing::info!(from = ?wanted.first, at_least = %wanted.at_least, "a snapshot is needed");
    let (member, data) = (Arc::clone(member), shared.data().to_path_buf());
    tokio::spawn(async move { fetch(&member.me, &member.directory, &data, wanted).await })
}

/// The snapshot being fetched; never, when none is.
async fn fetched(
    fetching: &mut Option<JoinHandle<Verified>>,
) -> Result<Verified, tokio::task::JoinError> {
    match fetching {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

/// Says why nothing is done, until the process is told to stop.
async fn quarantine(shared: &Arc<Shared>, found: Quarantine) {
    found.say();
    shared.set_stage(Stage::Quarantined(Arc::new(found)));
    shared.stopping.cancelled().await;
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
        member.peers.sweep();
        member.snapshots.sweep().await;
    }
}

type Served = Result<Result<(), Error>, tokio::task::JoinError>;

fn end_of_server(ended: Served) -> Result<(), Error> {
    ended.map_err(|_| Error::Panicked("the gRPC server"))?
}

/// Gives the streams a moment to say goodbye.
async fn stop_server(server: &mut JoinHandle<Result<(), Error>>) -> Result<(), Error> {
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
