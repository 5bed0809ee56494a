//! What a replica is: first it has no cluster, then it is a member of one, for ever.
//!
//! A member may begin anew in the same process: when its state was replaced by a snapshot.

mod member;
mod recover;
mod unformed;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use ops::shutdown::Token;
use wal::Identity;

pub(crate) use member::{Member, Outcome, Recovered, cluster_of};
pub(crate) use recover::state_file;
pub(crate) use unformed::{Unformed, blocking};

use crate::demo::Demo;
use crate::errors::Refused;
use crate::quarantine::Quarantine;

/// How far this process is.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// Opens its files, or replays the log.
    Starting,
    /// Waits for a cluster.
    Unformed(Arc<Unformed>),
    /// Fetches its state; in words, why.
    Restoring(Arc<str>),
    /// Takes part.
    Member(Arc<Member>),
    /// Takes part in nothing.
    Quarantined(Arc<Quarantine>),
}

/// What all services and roles of one process share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// How the others reach this replica.
    pub(crate) address: String,
    /// The process is to end.
    pub(crate) stopping: Token,
    /// Drawn when the process started: two processes with one disk are told apart.
    pub(crate) process: u64,
    /// How this replica speaks with the other services.
    pub(crate) tls: tls::Mutual,
    /// How it is broken on purpose.
    pub(crate) demo: Demo,
    /// As on disk; `None` until the log is open.
    identity: RwLock<Option<Identity>>,
    data: PathBuf,
    started: Instant,
    stage: RwLock<Stage>,
    /// Why this replica must not serve clients: membership is of another cluster.
    foreign: Mutex<Option<String>>,
    /// Whether the node of this disk votes, or voted since this process has the disk open.
    voted: AtomicBool,
}

impl Shared {
    /// At start.
    pub(crate) fn new(data: PathBuf, address: String, tls: tls::Mutual, stopping: Token) -> Self {
        Self {
            address,
            stopping,
            process: rand::random(),
            tls,
            demo: Demo::default(),
            identity: RwLock::new(None),
            data,
            started: Instant::now(),
            stage: RwLock::new(Stage::Starting),
            foreign: Mutex::new(None),
            voted: AtomicBool::new(false),
        }
    }

    /// Who this disk is.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The log is open, or its identity changed.
    pub(crate) fn set_identity(&self, identity: Identity) {
        *self
            .identity
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(identity);
    }

    /// The directory of log.db and state.db.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// How long this process runs.
    pub(crate) fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How far this process is.
    pub(crate) fn stage(&self) -> Stage {
        self.stage
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// See [`Shared::stage`].
    pub(crate) fn set_stage(&self, stage: Stage) {
        *self.stage.write().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// This replica as a member, if it is one now.
    pub(crate) fn member(&self) -> Result<Arc<Member>, Refused> {
        match self.stage() {
            Stage::Member(member) => Ok(member),
            Stage::Unformed(_) => Err(Refused::Unformed),
            Stage::Starting => Err(Refused::Starting),
            Stage::Restoring(_) => Err(Refused::Restoring),
            Stage::Quarantined(found) => Err(Refused::Quarantined(found.why.clone())),
        }
    }

    /// This replica as one that serves clients of a shard.
    pub(crate) fn serving(&self, shard: u32) -> Result<Arc<Member>, Refused> {
        if self.stopping.is_cancelled() {
            return Err(Refused::Stopping);
        }
        if let Some(why) = self.foreign() {
            return Err(Refused::Foreign(why));
        }
        let member = self.member()?;
        let own = member.cluster.shard;
        if shard == own {
            Ok(member)
        } else {
            Err(Refused::Shard { found: shard, own })
        }
    }

    /// Whether the disk belongs to another cluster than membership's, and membership's words.
    pub(crate) fn foreign(&self) -> Option<String> {
        self.foreign
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether the node of this disk is known to have voted in some epoch.
    pub(crate) fn has_voted(&self) -> bool {
        self.voted.load(Ordering::Relaxed)
    }

    /// See [`Shared::has_voted`]; `false` for a new disk.
    pub(crate) fn set_voted(&self, voted: bool) {
        self.voted.store(voted, Ordering::Relaxed);
    }

    /// See [`Shared::foreign`].
    pub(crate) fn set_foreign(&self, why: Option<String>) {
        *self.foreign.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}
