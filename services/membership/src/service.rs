//! The state of the service, and what may be asked of it.
//!
//! One mutex, held for microseconds and never across an await. [`Service`] is a cheap handle.

mod planning;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ops::shutdown::Token;
use proto::v1;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::config::Options;
use crate::detector::{Detector, Uptime};
use crate::errors::Error;
use crate::forming::{Action, Event, Forming};
use crate::genesis::{DiskId, Genesis};
use crate::limits::{REPLICAS_MAX, SWEEP_PAUSE};
use crate::registry::{EPOCH_FIRST, Registry, Voters};
pub use planning::Order;
use planning::Planning;

/// How many suspicion times a gateway may be silent before it is forgotten.
const FORGET_FACTOR: u32 = 10;

/// The highest id of a first voter; later ids are slots of the log.
const GENESIS_NODE_MAX: u64 = 1023;

/// What a disk is told that came after the cluster was formed.
const SPARE: &str = "a node id from the cluster, which has its voters";

/// A handle; clones are the same service.
#[derive(Debug, Clone)]
pub struct Service(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cluster_name: String,
    heartbeat_ms: u32,
    detector: Detector,
    forget: Duration,
    started: Instant,
    state: Mutex<State>,
    /// Held while the file of the drained places is written.
    draining: tokio::sync::Mutex<()>,
    /// Something happened that forming may act on.
    wake: Notify,
}

#[derive(Debug)]
struct State {
    registry: Registry,
    forming: Forming,
    /// As the replicas tell. A cache: the log's configuration is the truth.
    voters: Voters,
    /// Who is to vote next.
    planning: Planning,
    /// What was logged last of the forming, so that a wait is said once.
    said: String,
}

/// A replica's registration, checked for form.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The replica's disk.
    pub disk: DiskId,
    /// Where it is.
    pub address: String,
    /// Its version.
    pub version: String,
    /// What the disk holds, and whether that was confirmed.
    pub genesis: Option<(Genesis, bool)>,
    /// Its node id; 0: none.
    pub node: u64,
    /// Its process; 0: it does not tell.
    pub process: u64,
}

impl Service {
    /// Begins with what the file says.
    #[must_use]
    pub fn new(options: &Options, stored: Option<(Genesis, bool)>) -> Self {
        let after = Duration::from_millis(options.suspect_after_ms);
        let fresh_id = Uuid::new_v4().to_string();
        let mut registry = Registry::default();
        if let Some((genesis, _)) = &stored {
            registry.add_voters(genesis, &Voters::default());
            if genesis.voters.len() != options.replicas {
                tracing::warn!(
                    voters = genesis.voters.len(),
                    replicas = options.replicas,
                    "the setting REPLICAS counts only when a cluster is formed; this one was"
                );
            }
        }
        let forming = Forming::new(options.cluster.clone(), options.replicas, fresh_id, stored);
        let said = String::new();
        Self(Arc::new(Inner {
            cluster_name: options.cluster.clone(),
            heartbeat_ms: options.heartbeat_ms,
            detector: Detector::new(after),
            forget: after * FORGET_FACTOR,
            started: Instant::now(),
            state: Mutex::new(State {
                registry,
                forming,
                voters: Voters::default(),
                planning: Planning::new(options),
                said,
            }),
            draining: tokio::sync::Mutex::new(()),
            wake: Notify::new(),
        }))
    }

    /// A replica registers, with or without an identity.
    pub fn register(&self, request: Registration) -> Result<v1::RegisterResponse, Error> {
        let Registration {
            disk,
            address,
            version,
            genesis,
            node,
            process,
        } = request;
        if let Some((genesis, _)) = &genesis {
            self.vet(&disk, node, genesis)?;
        }
        let now = self.uptime();
        let mut guard = self.lock();
        let state = &mut *guard;
        state.require_no_rival(&disk, process, self.0.detector, now)?;
        let named = state.forming.genesis().cloned();
        state
            .registry
            .replace_at(&address, &disk, named.as_ref(), &state.voters);
        let voter = named
            .as_ref()
            .is_some_and(|genesis| genesis.voter(&disk).is_some());
        let waits = state.forming.is_formed() && !voter && node == 0;
        let server = state.registry.server(&disk, named.as_ref())?;
        server.address.clone_from(&address);
        server.version = version;
        server.node = node;
        server.process = process;
        let fresh = server.last_heard.replace(now).is_none();
        if waits && fresh {
            tracing::info!(disk, address, "a new disk: it may join as a standby");
        }
        match genesis {
            Some((genesis, confirmed)) => {
                state.forming.moved(&disk, &address);
                state.on(Event::Holds {
                    disk,
                    genesis,
                    confirmed,
                });
            }
            None => state.on(Event::Registered { disk, address }),
        }
        let join = if waits {
            self.named(state, now)
        } else {
            Vec::new()
        };
        let forming = &state.forming;
        if let Some(reason) = forming.stopped() {
            return Err(Error::Stopped(reason.to_owned()));
        }
        let answer = v1::RegisterResponse {
            registered: count(forming.registered()),
            expected: count(forming.expected()),
            waiting_for: if waits {
                SPARE.to_owned()
            } else {
                forming.waiting_for()
            },
            join,
        };
        drop(guard);
        self.0.wake.notify_one();
        Ok(answer)
    }

    /// The nodes of the cluster that may take a new one in.
    fn named(&self, state: &State, now: Uptime) -> Vec<v1::Server> {
        let servers = self.listed(state, now);
        let useful = |server: &v1::Server| server.node != 0 && !server.address.is_empty();
        servers.into_iter().filter(useful).collect()
    }

    /// A replica is alive.
    pub fn replica_heartbeat(
        &self,
        cluster_id: &str,
        beat: v1::ReplicaHeartbeat,
    ) -> Result<v1::HeartbeatResponse, Error> {
        let now = self.uptime();
        let mut guard = self.lock();
        let state = &mut *guard;
        self.check_cluster(state, cluster_id, &beat.disk_id)?;
        state.require_no_rival(&beat.disk_id, beat.process, self.0.detector, now)?;
        let named = state.forming.genesis().cloned();
        if let Some(genesis) = &named {
            let claimed = genesis.voters.iter().find(|voter| voter.node == beat.node);
            if claimed.is_some_and(|voter| voter.disk_id != beat.disk_id) {
                return Err(Error::OtherDisk {
                    node: beat.node,
                    disk: beat.disk_id,
                });
            }
            if genesis.voter(&beat.disk_id).is_some() {
                state.forming.moved(&beat.disk_id, &beat.address);
            }
        } else {
            // It belongs to a cluster that this process has forgotten: the replica knows it.
            state.on(Event::Rumoured {
                address: beat.address.clone(),
            });
            self.0.wake.notify_one();
        }
        let ready = beat.epoch_ready;
        state.voters.note(beat.epoch, &beat.voters, ready, now);
        let standby = state.voters.epoch > 0 && !state.voters.nodes.contains(&beat.node);
        let head = state.registry.head().max(beat.decided);
        let server = state.registry.server(&beat.disk_id, named.as_ref())?;
        let unbroken =
            server.process == beat.process && !self.0.detector.suspects(server.last_heard, now);
        server.address = beat.address;
        server.node = beat.node;
        server.process = beat.process;
        server.last_heard = Some(now);
        server.leading = beat.leading;
        server.decided = beat.decided;
        server.applied = beat.applied;
        server.epoch = beat.epoch;
        server.missed = missed(&beat.missed);
        server.count_caught_up(standby, head, unbroken);
        Ok(self.beaten(state, now))
    }

    /// A gateway is alive. It need not know the cluster yet.
    pub fn gateway_heartbeat(
        &self,
        cluster_id: &str,
        beat: v1::GatewayHeartbeat,
    ) -> Result<v1::HeartbeatResponse, Error> {
        let now = self.uptime();
        let mut state = self.lock();
        if !cluster_id.is_empty() {
            self.check_cluster(&state, cluster_id, &beat.name)?;
        }
        state
            .registry
            .gateway(beat.name, beat.address, beat.connections, now);
        Ok(self.beaten(&state, now))
    }

    fn check_cluster(&self, state: &State, cluster_id: &str, who: &str) -> Result<(), Error> {
        match state.forming.genesis() {
            Some(genesis) if genesis.cluster_id != cluster_id => Err(Error::OtherCluster {
                disk: who.to_owned(),
                theirs: cluster_id.to_owned(),
                ours: format!("{} ({})", genesis.cluster_id, self.0.cluster_name),
            }),
            _ => Ok(()),
        }
    }

    fn beaten(&self, state: &State, now: Uptime) -> v1::HeartbeatResponse {
        v1::HeartbeatResponse {
            heartbeat_ms: self.0.heartbeat_ms,
            servers: self.listed(state, now),
        }
    }

    /// Everybody known, with what is drained.
    fn listed(&self, state: &State, now: Uptime) -> Vec<v1::Server> {
        let genesis = state.forming.genesis();
        let detector = self.0.detector;
        let mut servers = state
            .registry
            .servers(genesis, &state.voters, detector, now);
        for server in &mut servers {
            server.draining = state.planning.is_draining(&server.address);
        }
        servers
    }

    /// Everybody known.
    #[must_use]
    pub fn servers(&self) -> v1::GetServersResponse {
        let now = self.uptime();
        let state = self.lock();
        let genesis = state.forming.genesis();
        let formed = state.forming.is_formed();
        v1::GetServersResponse {
            cluster_id: genesis
                .map(|genesis| genesis.cluster_id.clone())
                .unwrap_or_default(),
            cluster_name: self.0.cluster_name.clone(),
            client_epoch: genesis.map_or(0, |genesis| genesis.client_epoch.max(1)),
            formed,
            expected: count(state.forming.expected()),
            epoch: if formed {
                state.voters.epoch.max(EPOCH_FIRST)
            } else {
                0
            },
            servers: self.listed(&state, now),
            gateways: state.registry.gateways(now),
            waiting_for: state.forming.waiting_for(),
            plan: state.plan_in_words(self.0.detector, now),
            last_change: state.planning.last_change().to_owned(),
            wished: count(state.wished(self.0.detector, now)),
        }
    }

    /// Whether a disk with this genesis may be of this cluster: a first voter, which the genesis
    /// names, or a node that joined later.
    pub fn vet(&self, disk: &str, node: u64, genesis: &Genesis) -> Result<(), Error> {
        genesis.check().map_err(|reason| Error::Invalid {
            field: "genesis",
            reason,
        })?;
        if genesis.voter(disk).is_none() && node <= GENESIS_NODE_MAX {
            let cluster = genesis.cluster_id.clone();
            return Err(Error::NotNamed {
                disk: disk.to_owned(),
                cluster,
            });
        }
        let state = self.lock();
        let ours = state.forming.genesis();
        let foreign_name = genesis.cluster_name != self.0.cluster_name;
        // Before the cluster exists, a second genesis of its name must be heard: it stops the
        // forming. Afterwards it is a stranger.
        let foreign_id = state.forming.is_formed() && ours.is_some_and(|ours| ours != genesis);
        if foreign_name || foreign_id {
            let id = ours.map_or("not formed yet", |ours| ours.cluster_id.as_str());
            return Err(Error::OtherCluster {
                disk: disk.to_owned(),
                theirs: format!("{} ({})", genesis.cluster_id, genesis.cluster_name),
                ours: format!("{id} ({})", self.0.cluster_name),
            });
        }
        Ok(())
    }

    /// Hands an event to the forming.
    pub fn on(&self, event: Event) {
        self.lock().on(event);
    }

    /// A rumour was looked into.
    pub fn looked_into(&self, address: &str) {
        self.lock().forming.looked_into(address);
    }

    /// What forming wants done now; to be asked after a whole round of answers.
    #[must_use]
    pub fn next_actions(&self) -> Vec<Action> {
        let mut state = self.lock();
        let actions = state.forming.decide();
        state.say();
        actions
    }

    /// Waits until something happened that forming may act on.
    pub async fn woken(&self) {
        self.0.wake.notified().await;
    }

    /// Looks again and again who is silent, and says what changed.
    pub async fn watch(&self, shutdown: Token) {
        let mut pause = tokio::time::interval(SWEEP_PAUSE);
        while shutdown.run_until_cancelled(pause.tick()).await.is_some() {
            let now = self.uptime();
            let mut state = self.lock();
            for change in state.registry.sweep(self.0.detector, self.0.forget, now) {
                let node = state
                    .forming
                    .genesis()
                    .and_then(|genesis| genesis.voter(&change.disk));
                let node = node.map_or_else(String::new, |voter| format!("r{}", voter.node));
                if change.suspected {
                    tracing::warn!(node, address = change.address, "silent: suspected");
                } else {
                    tracing::info!(node, address = change.address, "heard again");
                }
            }
        }
    }

    fn uptime(&self) -> Uptime {
        self.0.started.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in another task is a bug that has been logged; the state is still whole,
        // since every change of it is done without a call that may panic half-way.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn require_no_rival(
        &self,
        disk: &str,
        process: u64,
        detector: Detector,
        now: Uptime,
    ) -> Result<(), Error> {
        if self.registry.has_rival(disk, process, detector, now) {
            let disk = disk.to_owned();
            return Err(Error::Rival { disk });
        }
        Ok(())
    }

    fn on(&mut self, event: Event) {
        self.forming.on(event);
        if let Some(genesis) = self.forming.genesis() {
            self.registry.add_voters(genesis, &self.voters);
        }
        self.say();
    }

    /// Logs how far the forming is, when that changed.
    fn say(&mut self) {
        let words = match self.forming.genesis() {
            Some(genesis) if self.forming.is_formed() => {
                format!(
                    "formed: cluster {}, {} voters",
                    genesis.cluster_id,
                    genesis.voters.len()
                )
            }
            _ => format!("waiting for {}", self.forming.waiting_for()),
        };
        if words == self.said {
            return;
        }
        match self.forming.stopped() {
            Some(reason) => tracing::error!("{reason}"),
            None => tracing::info!("{words}"),
        }
        self.said = words;
    }
}

/// What a replica misses, without what no replica of ours tells.
fn missed(told: &[v1::MissedVoter]) -> Vec<(u64, Duration)> {
    let told = told.iter().take(REPLICAS_MAX);
    told.map(|missed| (missed.node, Duration::from_millis(missed.for_ms)))
        .collect()
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
