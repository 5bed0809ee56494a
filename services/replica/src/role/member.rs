//! A member: runs core, log, state machine and streams; a voter of the epoch, or one that learns.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use machine::{Machine, Reader};
use ops::shutdown::Token;
use paxos::Core;
use paxos::ids::{Millis, Slot};
use paxos::restored::{Options, Restored};
use wal::{Completion, Recovery, Writer};

pub(crate) use super::recover::{Outcome, Recovered};
use super::{Shared, recover};
use crate::apply::{self, Listeners};
use crate::config::Options as Settings;
use crate::directory::Directory;
use crate::driver::{Driver, Handle, Parts};
use crate::errors::Error;
use crate::genesis::Cluster;
use crate::limits::STOP_THREAD;
use crate::metrics::METRICS;
use crate::notices::Watched;
use crate::peers::{Callers, Me, Peers};
use crate::pins::Pins;
use crate::reads::Reads;
use crate::signals::Signals;
use crate::snapshots::Snapshots;
use crate::tail::Hub;
use crate::traces::Traces;
use crate::waiters::Waiters;
use crate::{failpoints, fatal, search};

/// What the services of a member use.
#[derive(Debug)]
pub(crate) struct Member {
    /// This node and the first voters.
    pub(crate) cluster: Arc<Cluster>,
    /// How it introduces itself.
    pub(crate) me: Arc<Me>,
    /// All nodes.
    pub(crate) directory: Arc<Directory>,
    /// The loop that owns the core.
    pub(crate) driver: Handle,
    /// Streams to the others.
    pub(crate) peers: Peers,
    /// Streams from the others.
    pub(crate) callers: Callers,
    /// Connections that read the state.
    pub(crate) reads: Reads,
    /// The live log.
    pub(crate) hub: Arc<Hub>,
    /// Who waits for answers.
    pub(crate) waiters: Arc<Waiters>,
    /// What the room of the cluster has told of the voters.
    pub(crate) watched: Arc<Watched>,
    /// How far things are.
    pub(crate) signals: Arc<Signals>,
    /// The log, for reading.
    pub(crate) wal: wal::Handle,
    /// For others that are behind.
    pub(crate) snapshots: Snapshots,
    /// For whoever compares replicas.
    pub(crate) pins: Pins,
    /// The moment that is 0 for the core.
    pub(crate) started: Instant,
    /// This member ends: the process stops, or begins anew with another state.
    pub(crate) stop: Token,
}

/// The threads of a member.
#[derive(Debug)]
pub(crate) struct Running {
    driver: Option<JoinHandle<()>>,
    apply: Option<JoinHandle<()>>,
    search: Option<JoinHandle<()>>,
    writer: Option<Writer>,
    reads: Reads,
    pins: Pins,
}

/// The identity in an open log.
pub(crate) fn cluster_of(wal: &wal::Wal) -> Result<Arc<Cluster>, Error> {
    let identity = wal.identity();
    let Some(genesis) = &identity.genesis else {
        return Err(wal::Error::NoIdentity {
            path: wal.path().to_path_buf(),
            missing: "genesis",
        }
        .into());
    };
    Ok(Arc::new(Cluster::from_disk(genesis, identity.disk_id)?))
}

impl Member {
    /// Starts from disk and state at the same slot. Blocks; must be called inside the runtime,
    /// for the streams.
    pub(crate) fn start(
        shared: &Shared,
        recovered: Recovered,
        settings: &Settings,
    ) -> Result<(Arc<Self>, Running), Error> {
        let Recovered {
            wal,
            machine,
            recovery,
        } = recovered;
        let cluster = cluster_of(&wal)?;
        let directory = Arc::new(directory_of(&cluster, &machine, &wal)?);
        let (me, stop) = (introduce(shared, &cluster), shared.stopping.child_token());
        let peers = Peers::new(Arc::clone(&me), Arc::clone(&directory), stop.clone());
        let applied = machine.applied().slot;
        let signals = first_signals(applied, &recovery);
        let core = core(&cluster, &wal, recovery.restored);
        let (snapshots, pins) = copies(shared, &signals);
        let reads = open_reads(&machine, settings.readers, &signals)?;
        let traces = Arc::new(Traces::new(cluster.node, applied));
        let writer = wal.spawn(report_to(Arc::clone(&signals), Arc::clone(&traces)))?;
        let listeners = Listeners {
            signals: Arc::clone(&signals),
            hub: Arc::new(Hub::new(applied)),
            waiters: Arc::default(),
            directory: Arc::clone(&directory),
            watched: Arc::new(Watched::new(machine.watched()?)),
            pins: pins.clone(),
            traces: Arc::clone(&traces),
        };
        let (queue, apply) = start_apply(machine, listeners.clone())?;
        peers.set_voters(&core.configuration().voters);
        say_member(&cluster, &core, applied);
        let (started, demo) = (Instant::now(), shared.demo.clone());
        let (driver, handle) = Driver::new(Parts {
            core,
            wal: writer.handle(),
            peers: peers.clone(),
            directory: Arc::clone(&directory),
            keep_log_bytes: settings.keep_log_bytes(),
            apply: queue,
            waiters: Arc::clone(&listeners.waiters),
            signals: Arc::clone(&signals),
            traces,
            started,
            demo,
        });
        let log = writer.handle();
        let running = Running {
            driver: Some(start_driver(driver, stop.clone())?),
            apply: Some(apply),
            search: Some(start_search(shared, &signals, &stop)?),
            reads: reads.clone(),
            pins: pins.clone(),
            writer: Some(writer),
        };
        let member = Self {
            cluster,
            me,
            directory,
            driver: handle,
            peers,
            callers: Callers::default(),
            reads,
            hub: listeners.hub,
            waiters: listeners.waiters,
            watched: listeners.watched,
            signals,
            wal: log,
            snapshots,
            pins,
            started,
            stop,
        };
        Ok((Arc::new(member), running))
    }

    /// The core's time.
    pub(crate) fn now(&self) -> Millis {
        let elapsed = self.started.elapsed().as_millis();
        Millis(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// Keeps where the others are for a start without anybody to ask.
    pub(crate) fn remember_addresses(&self) {
        // Stopped: the process ends.
        let _ = self.wal.remember_peers(self.directory.addresses());
    }
}

/// Who the others are, as this disk knows it.
fn directory_of(cluster: &Cluster, machine: &Machine, wal: &wal::Wal) -> Result<Directory, Error> {
    let registered = machine.reader()?.nodes()?.value;
    Ok(Directory::new(cluster, &registered, &wal.peers()?))
}

fn open_reads(
    machine: &Machine,
    count: usize,
    signals: &Arc<Signals>,
) -> Result<Reads, machine::Error> {
    let readers: Result<Vec<Reader>, _> = (0..count).map(|_| machine.reader()).collect();
    Ok(Reads::new(readers?, Arc::clone(signals)))
}

/// What others may have of the state.
fn copies(shared: &Shared, signals: &Arc<Signals>) -> (Snapshots, Pins) {
    let state = recover::state_file(shared.data());
    let snapshots = Snapshots::new(shared.data(), state.clone(), Arc::clone(signals));
    (snapshots, Pins::new(state, Arc::clone(signals)))
}

fn say_member(cluster: &Cluster, core: &Core, applied: Slot) {
    let configuration = core.configuration();
    tracing::info!(
        node = %cluster.node, cluster = cluster.cluster_name, %applied,
        epoch = %configuration.epoch, voters = ?configuration.voters, "member"
    );
}

fn introduce(shared: &Shared, cluster: &Arc<Cluster>) -> Arc<Me> {
    Arc::new(Me {
        cluster: Arc::clone(cluster),
        address: shared.address.clone(),
        process: shared.process,
        tls: shared.tls.clone(),
        demo: shared.demo.clone(),
    })
}

fn first_signals(applied: Slot, recovery: &Recovery) -> Arc<Signals> {
    let signals = Signals::new(applied);
    signals.note_log_begins_after(recovery.restored.compacted_to);
    if let Some(slot) = recovery.unreadable {
        signals.note_unreadable(slot);
    }
    signals
}

fn core(cluster: &Cluster, wal: &wal::Wal, restored: Restored) -> Core {
    let stored = wal.configuration().cloned();
    let options = Options {
        node: cluster.node,
        configuration: stored.unwrap_or_else(|| cluster.configuration()),
        seed: rand::random(),
    };
    Core::new(options, restored, Millis(0))
}

/// What the log's writer tells, on its thread.
fn report_to(signals: Arc<Signals>, traces: Arc<Traces>) -> Box<dyn Fn(Completion) + Send> {
    Box::new(move |completion| match completion {
        Completion::Persisted {
            seq,
            disk_seq,
            rows,
            commit_us,
            ..
        } => {
            if rows > 0 {
                failpoints::pass(failpoints::AFTER_PERSIST);
            }
            METRICS.synced(commit_us);
            traces.persisted(seq, commit_us);
            signals.note_persisted(seq, disk_seq, commit_us);
        }
        Completion::Fatal(error) => fatal::log_failed(&error),
    })
}

fn start_driver(driver: Driver, stop: Token) -> Result<JoinHandle<()>, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|source| Error::System {
            doing: "start the driver's timer",
            source,
        })?;
    std::thread::Builder::new()
        .name("driver".to_owned())
        .spawn(move || {
            let _vital = fatal::Vital("driver");
            runtime.block_on(driver.run(stop));
        })
        .map_err(no_thread)
}

fn start_search(shared: &Shared, signals: &Signals, stop: &Token) -> Result<JoinHandle<()>, Error> {
    let state = recover::state_file(shared.data());
    search::start(state, signals.watch_applied(), stop.clone()).map_err(no_thread)
}

fn start_apply(
    machine: Machine,
    listeners: Listeners,
) -> Result<(apply::Queue, JoinHandle<()>), Error> {
    let flusher = machine.flusher()?;
    apply::start(machine, flusher, listeners).map_err(no_thread)
}

fn no_thread(source: std::io::Error) -> Error {
    Error::System {
        doing: "start a thread",
        source,
    }
}

impl Running {
    /// Ends the threads, in the order in which work flows through them. The driver was told
    /// by the token already. The process ends next: what hangs is left behind.
    pub(crate) async fn stop(self) {
        let ended = tokio::time::timeout(STOP_THREAD, self.end()).await;
        if ended.is_err() {
            // A slow disk, say. Everything that was acknowledged is durable already.
            tracing::warn!("some threads did not end in time; nothing is lost");
        }
    }

    /// As [`Running::stop`], until all of them have ended: afterwards nobody has a file open.
    pub(crate) async fn end(mut self) {
        for thread in [self.driver.take(), self.apply.take(), self.search.take()]
            .into_iter()
            .flatten()
        {
            // One that panicked has aborted the process.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        self.reads.close().await;
        self.pins.close().await;
        let writer = self.writer.take();
        // Closes the log: a checkpoint, at most.
        let _ = tokio::task::spawn_blocking(move || drop(writer)).await;
    }
}
