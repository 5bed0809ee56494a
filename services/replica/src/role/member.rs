//! A voter: brings its state up to the log, then runs core, log, state machine and streams.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use machine::Machine;
use ops::shutdown::Token;
use paxos::ids::{Millis, Slot};
use paxos::restored::{Options, Restored};
use paxos::{Core, Timestamp};
use wal::{Completion, Wal, Writer};

use super::Shared;
use crate::apply::{self, Listeners};
use crate::driver::{Driver, Handle, Parts};
use crate::errors::Error;
use crate::genesis::Cluster;
use crate::limits::STOP_THREAD;
use crate::peers::Peers;
use crate::reads::Reads;
use crate::signals::Signals;
use crate::tail::Hub;
use crate::waiters::Waiters;
use crate::{failpoints, fatal};

/// The name of the state's file in the data directory.
const STATE_FILE: &str = "state.db";

/// What the services of a member use.
#[derive(Debug)]
pub(crate) struct Member {
    /// This node and the others.
    pub(crate) cluster: Arc<Cluster>,
    /// The loop that owns the core.
    pub(crate) driver: Handle,
    /// The other voters.
    pub(crate) peers: Peers,
    /// Connections that read the state.
    pub(crate) reads: Reads,
    /// The live log.
    pub(crate) hub: Arc<Hub>,
    /// Who waits for answers.
    pub(crate) waiters: Arc<Waiters>,
    /// How far things are.
    pub(crate) signals: Arc<Signals>,
    /// The log, for reading.
    pub(crate) wal: wal::Handle,
}

/// The threads of a member.
#[derive(Debug)]
pub(crate) struct Running {
    driver: Option<JoinHandle<()>>,
    apply: Option<JoinHandle<()>>,
    writer: Option<Writer>,
}

/// Disk and state at the same slot.
struct Recovered {
    wal: Wal,
    machine: Machine,
    restored: Restored,
}

impl Member {
    /// Opens the state, replays what the log has beyond it, and starts. Blocks; must be called
    /// inside the runtime, for the streams.
    pub(crate) fn start(
        shared: &Shared,
        wal: Wal,
        readers: usize,
    ) -> Result<(Arc<Self>, Running), Error> {
        let identity = wal.identity().clone();
        let Some(genesis) = &identity.genesis else {
            return Err(wal::Error::NoIdentity {
                path: wal.path().to_path_buf(),
                missing: "genesis",
            }
            .into());
        };
        let cluster = Arc::new(Cluster::from_disk(genesis, identity.disk_id)?);
        let peers = Peers::new(&cluster, &wal.peers()?);
        let Recovered {
            wal,
            machine,
            restored,
        } = recover(wal, shared.data())?;
        let readers = (0..readers)
            .map(|_| machine.reader())
            .collect::<Result<Vec<_>, _>>()?;
        let applied = machine.applied().slot;
        let signals = Signals::new(applied);
        let hub = Arc::new(Hub::new(applied));
        let waiters = Arc::new(Waiters::default());
        let writer = wal.spawn(report_to(Arc::clone(&signals)))?;
        let listeners = Listeners {
            signals: Arc::clone(&signals),
            hub: Arc::clone(&hub),
            waiters: Arc::clone(&waiters),
        };
        let (queue, apply) = apply::start(machine, listeners).map_err(no_thread)?;
        let (driver, handle) = Driver::new(Parts {
            core: core(&cluster, restored),
            wal: writer.handle(),
            peers: peers.clone(),
            apply: queue,
            waiters: Arc::clone(&waiters),
            signals: Arc::clone(&signals),
            started: Instant::now(),
        });
        let driver = start_driver(driver, shared.stopping.clone())?;
        peers.connect(&cluster, &shared.stopping);
        tracing::info!(
            node = %cluster.node, cluster = cluster.cluster_name, voters = cluster.voters.len(),
            %applied, "member"
        );
        let member = Self {
            reads: Reads::new(readers, signals.watch_applied()),
            wal: writer.handle(),
            cluster,
            driver: handle,
            peers,
            hub,
            waiters,
            signals,
        };
        let running = Running {
            driver: Some(driver),
            apply: Some(apply),
            writer: Some(writer),
        };
        Ok((Arc::new(member), running))
    }
}

/// Brings the state up to the log's commit index, so that the two agree (rule D4).
fn recover(wal: Wal, data: &Path) -> Result<Recovered, Error> {
    let mut machine = Machine::open(data.join(STATE_FILE))?;
    let before = machine.applied().slot;
    let restored = wal.restore(before)?;
    for page in wal.replay(before, restored.decided)? {
        machine.apply(&page?)?;
    }
    let applied = machine.applied();
    assert!(
        applied.slot == restored.decided,
        "the replay ends at the commit index"
    );
    if applied.slot > before {
        tracing::info!(from = %before, to = %applied.slot, "state brought forward from the log");
    }
    // Both files say what the prefix is. If they differ, one of them is of another history.
    if applied.chain != restored.chain && applied.slot > Slot::GENESIS {
        return Err(machine::Error::Diverged {
            slot: applied.slot,
            found: restored.chain,
            applied: applied.chain,
        }
        .into());
    }
    debug_assert!(applied.slot == Slot::GENESIS || restored.timestamp != Timestamp(0));
    Ok(Recovered {
        wal,
        machine,
        restored,
    })
}

fn core(cluster: &Cluster, restored: Restored) -> Core {
    let options = Options {
        node: cluster.node,
        configuration: cluster.configuration(),
        seed: rand::random(),
    };
    Core::new(options, restored, Millis(0))
}

/// What the log's writer tells, on its thread.
fn report_to(signals: Arc<Signals>) -> Box<dyn Fn(Completion) + Send> {
    Box::new(move |completion| match completion {
        Completion::Persisted {
            seq,
            rows,
            commit_us,
            ..
        } => {
            if rows > 0 {
                failpoints::pass(failpoints::AFTER_PERSIST);
            }
            signals.note_persisted(seq, commit_us);
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

fn no_thread(source: std::io::Error) -> Error {
    Error::System {
        doing: "start a thread",
        source,
    }
}

impl Running {
    /// Ends the threads, in the order in which work flows through them. The driver was told
    /// by the token already.
    pub(crate) async fn stop(mut self) {
        if let Some(driver) = self.driver.take() {
            join("driver", driver).await;
        }
        if let Some(apply) = self.apply.take() {
            join("apply", apply).await;
        }
        let writer = self.writer.take();
        // Closes the log: a checkpoint, at most.
        let closed = tokio::task::spawn_blocking(move || drop(writer));
        if tokio::time::timeout(STOP_THREAD, closed).await.is_err() {
            tracing::warn!("the log is not closed in time; nothing is lost");
        }
    }
}

/// Waits a while. A thread that hangs (a slow disk) is left behind: everything that was
/// acknowledged is durable already.
async fn join(name: &'static str, thread: JoinHandle<()>) {
    let joined = tokio::task::spawn_blocking(move || thread.join());
    if tokio::time::timeout(STOP_THREAD, joined).await.is_err() {
        tracing::warn!(
            thread = name,
            "a thread did not end in time; nothing is lost"
        );
    }
}
