//! A replica without a cluster: takes a genesis, waits for its confirmation, votes on nothing.
//!
//! A disk accepts one genesis for ever, and nobody votes before all named disks hold it
//! (section 2.10): membership confirms when it knows that they do. A disk that comes later is
//! given a node id by the log, and takes the genesis with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::v1 as pb;
use tokio::sync::Notify;
use uuid::Uuid;
use wal::Wal;

use super::{Shared, Stage};
use crate::errors::{Refused, genesis_refused};
use crate::genesis::Cluster;

/// The open log, until a member takes it.
#[derive(Debug)]
pub(crate) struct Unformed {
    wal: Mutex<Option<Wal>>,
    confirmed: Notify,
}

impl Unformed {
    /// An open log.
    pub(crate) fn new(wal: Wal) -> Self {
        let confirmed = Notify::new();
        if wal.identity().confirmed {
            confirmed.notify_one();
        }
        Self {
            wal: Mutex::new(Some(wal)),
            confirmed,
        }
    }

    /// Waits until this node may vote, and gives the log for it. Once only.
    pub(crate) async fn until_confirmed(&self) -> Option<Wal> {
        self.confirmed.notified().await;
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Wal>> {
        // The log protects itself: after a failed write it takes nothing more.
        self.wal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Makes a genesis durable on this disk. Blocks.
    pub(crate) fn install_genesis(&self, genesis: pb::Genesis) -> Result<(), Refused> {
        let disk_id = self.identity().ok_or(Refused::Starting)?.disk_id;
        let cluster = Cluster::of(genesis, disk_id).map_err(|why| genesis_refused(disk_id, why))?;
        self.install(&cluster.to_disk())
    }

    /// Makes durable that this disk joined a cluster as a node that the log named. Blocks.
    pub(crate) fn install_joined(
        &self,
        genesis: pb::Genesis,
        node: paxos::NodeId,
    ) -> Result<(), Refused> {
        let disk_id = self.identity().ok_or(Refused::Starting)?.disk_id;
        let cluster =
            Cluster::joined(genesis, disk_id, node).map_err(|why| genesis_refused(disk_id, why))?;
        self.install(&cluster.to_disk())?;
        // The cluster exists, so every founder holds the genesis.
        self.confirm_genesis(&cluster.cluster_id.to_string())
    }

    /// The log, while there is no cluster.
    fn unformed(&self) -> Result<Option<Arc<Unformed>>, Refused> {
        match self.stage() {
            Stage::Unformed(unformed) => Ok(Some(unformed)),
            Stage::Member(_) | Stage::Restoring(_) => Ok(None),
            Stage::Starting => Err(Refused::Starting),
            Stage::Quarantined(found) => Err(Refused::Quarantined(found.why.clone())),
        }
    }

    fn install(&self, cluster: &wal::Genesis) -> Result<(), Refused> {
        let unformed = self.unformed()?;
        let mut wal = unformed.as_ref().map(|unformed| unformed.lock());
        let wal = wal.as_mut().and_then(|wal| wal.as_mut());
        let identity = self.identity().ok_or(Refused::Starting)?;
        let disk_id = identity.disk_id;
        if let Some(found) = identity.genesis {
            // The log itself says why it does not take another one, while it is here.
            return match (found == *cluster, wal) {
                (true, _) => Ok(()),
                (false, Some(wal)) => wal
                    .install_genesis(cluster)
                    .map_err(|why| genesis_refused(disk_id, why)),
                (false, None) => Err(other_cluster(disk_id, found.cluster_id)),
            };
        }
        let wal = wal.ok_or(Refused::Stopping)?;
        if let Err(error) = wal.install_genesis(cluster) {
            crate::fatal::log_failed(&error);
        }
        self.set_identity(wal.identity().clone());
        tracing::info!(
            cluster = cluster.cluster_name, cluster_id = %cluster.cluster_id,
            node = %cluster.node_id, "genesis installed"
        );
        Ok(())
    }

    /// Every named disk holds the genesis. Blocks.
    pub(crate) fn confirm_genesis(&self, cluster_id: &str) -> Result<(), Refused> {
        let unformed = self.unformed()?;
        let identity = self.identity().ok_or(Refused::Starting)?;
        let disk_id = identity.disk_id;
        let Some(genesis) = identity.genesis else {
            return Err(genesis_refused(disk_id, "it holds none to confirm"));
        };
        if Uuid::try_parse(cluster_id) != Ok(genesis.cluster_id) {
            return Err(other_cluster(disk_id, genesis.cluster_id));
        }
        if identity.confirmed {
            return Ok(());
        }
        let unformed = unformed.ok_or(Refused::Stopping)?;
        let mut wal = unformed.lock();
        let wal = wal.as_mut().ok_or(Refused::Stopping)?;
        if let Err(error) = wal.confirm_genesis() {
            crate::fatal::log_failed(&error);
        }
        self.set_identity(wal.identity().clone());
        tracing::info!(
            cluster_id = %genesis.cluster_id, node = %genesis.node_id,
            "genesis confirmed: this node may vote in the epochs that name it"
        );
        unformed.confirmed.notify_one();
        Ok(())
    }

    /// What the disk holds, for the wire.
    pub(crate) fn genesis(&self) -> Option<pb::Genesis> {
        let identity = self.identity()?;
        let genesis = identity.genesis.as_ref()?;
        Cluster::from_disk(genesis, identity.disk_id)
            .ok()
            .map(|cluster| cluster.genesis)
    }
}

fn other_cluster(disk_id: Uuid, cluster_id: Uuid) -> Refused {
    genesis_refused(
        disk_id,
        format!("it belongs to cluster {cluster_id} for ever"),
    )
}

/// Runs blocking work that may wait for the disk.
pub(crate) async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let shared = Arc::clone(shared);
    let task = tokio::task::spawn_blocking(move || work(&shared));
    task.await.unwrap_or(Err(Refused::Stopping))
}
