//! What a replica is: first it has no cluster, then it is a member of one, for ever.

mod member;
mod unformed;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use ops::shutdown::Token;
use wal::Identity;

pub(crate) use member::{Member, Running};
pub(crate) use unformed::{Unformed, blocking};

use crate::errors::Refused;

/// What all services and roles of one process share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// How the others reach this replica.
    pub(crate) address: String,
    /// The process is to end.
    pub(crate) stopping: Token,
    /// While there is no cluster.
    pub(crate) unformed: Unformed,
    /// As on disk.
    identity: RwLock<Identity>,
    data: PathBuf,
    started: Instant,
    member: OnceLock<Arc<Member>>,
    /// Why this replica must not serve clients: membership is of another cluster.
    foreign: Mutex<Option<String>>,
}

impl Shared {
    /// At start, with the log open.
    pub(crate) fn new(wal: wal::Wal, data: PathBuf, address: String, stopping: Token) -> Self {
        Self {
            address,
            stopping,
            identity: RwLock::new(wal.identity().clone()),
            unformed: Unformed::new(wal),
            data,
            started: Instant::now(),
            member: OnceLock::new(),
            foreign: Mutex::new(None),
        }
    }

    /// Who this disk is.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_identity(&self, identity: Identity) {
        *self
            .identity
            .write()
            .unwrap_or_else(PoisonError::into_inner) = identity;
    }

    /// The directory of log.db and state.db.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// How long this process runs.
    pub(crate) fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// From now on this replica is a member.
    pub(crate) fn become_member(&self, member: Arc<Member>) {
        let first = self.member.set(member).is_ok();
        assert!(first, "a replica becomes a member once");
    }

    /// This replica as a member, if it is one yet.
    pub(crate) fn member(&self) -> Option<&Arc<Member>> {
        self.member.get()
    }

    /// This replica as one that serves clients of a shard.
    pub(crate) fn serving(&self, shard: u32) -> Result<&Arc<Member>, Refused> {
        if self.stopping.is_cancelled() {
            return Err(Refused::Stopping);
        }
        if let Some(why) = self.foreign() {
            return Err(Refused::Foreign(why));
        }
        let member = self.member().ok_or(Refused::Unformed)?;
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

    /// See [`Shared::foreign`].
    pub(crate) fn set_foreign(&self, why: Option<String>) {
        *self.foreign.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}
