//! Carries out what forming wants: asks, writes, installs, confirms. Idempotent.
//!
//! In: [`Action`]s. Out: calls of `Admin`, the file, and [`Event`]s.
//! Must hold: a disk counts as holding a genesis only when it said so itself, under its own
//! disk id. An answer of "installed" proves nothing about *which* disk answered: two replicas
//! may advertise one address by mistake.

use std::time::Duration;

use ops::shutdown::Token;
use proto::v1::admin_client::AdminClient;
use proto::v1::{
    ConfirmGenesisRequest, GetIdentityRequest, GetIdentityResponse, InstallGenesisRequest,
};
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::forming::{Action, Event};
use crate::genesis::{DiskId, Genesis};
use crate::limits::{CALL_TIMEOUT, CONNECT_TIMEOUT, MESSAGE_BYTES_MAX, ROUND_PAUSE};
use crate::service::Service;
use crate::store::Store;

/// Longest pause between rounds: a replica that is down for an hour is not asked every moment.
const PAUSE_MAX: Duration = Duration::from_secs(4);

/// Does what forming wants.
#[derive(Debug, Clone)]
pub struct Executor {
    service: Service,
    store: Store,
    tls: tls::Mutual,
}

#[derive(Debug)]
pub(crate) enum Failure {
    /// Passes by itself, perhaps.
    Unreachable(String),
    /// The node understood and said no.
    Refused(String),
}

impl Executor {
    /// Of this service, with this file; replicas are dialled that way.
    #[must_use]
    pub fn new(service: Service, store: Store, tls: tls::Mutual) -> Self {
        Self {
            service,
            store,
            tls,
        }
    }

    /// Works until there is nothing to do, waits until there is, until `shutdown`.
    pub async fn run(self, shutdown: Token) {
        let mut done: Vec<Action> = Vec::new();
        let mut pause = ROUND_PAUSE;
        while !shutdown.is_cancelled() {
            let actions = self.service.next_actions();
            if actions.is_empty() {
                pause = ROUND_PAUSE;
                let _ = shutdown.run_until_cancelled(self.service.woken()).await;
                done.clear();
                continue;
            }
            if actions == done {
                // The last round has not brought it forward.
                let nap = tokio::time::timeout(pause, self.service.woken());
                let _ = shutdown.run_until_cancelled(nap).await;
                pause = (pause * 2).min(PAUSE_MAX);
            } else {
                pause = ROUND_PAUSE;
            }
            let round = self.round(&actions);
            let _ = shutdown.run_until_cancelled(round).await;
            done = actions;
        }
    }

    /// Does these actions at the same time.
    async fn round(&self, actions: &[Action]) {
        let mut tasks = JoinSet::new();
        for action in actions {
            let (executor, action) = (self.clone(), action.clone());
            tasks.spawn(async move { executor.perform(action).await });
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Does one action and hands its result to the forming.
    pub async fn perform(&self, action: Action) {
        match action {
            Action::Identify { disk, address } => self.identify(disk, &address).await,
            Action::Persist { genesis, held } => self.persist(genesis, held).await,
            Action::Install {
                disk,
                address,
                genesis,
            } => {
                self.install(disk, &address, genesis).await;
            }
            Action::Confirm {
                disk,
                address,
                cluster_id,
            } => {
                self.confirm(disk, &address, cluster_id).await;
            }
        }
    }

    async fn persist(&self, genesis: Genesis, held: bool) {
        let store = self.store.clone();
        let saved = tokio::task::spawn_blocking(move || store.save(&genesis, held)).await;
        match saved {
            Ok(Ok(())) => self.service.on(Event::Persisted { held }),
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot write the genesis; trying again");
            }
            Err(error) => tracing::error!(%error, "bug: writing the genesis failed"),
        }
    }

    async fn identify(&self, wanted: Option<DiskId>, address: &str) {
        match call_identity(&self.tls, address).await {
            Ok(found) => self.take(wanted.as_ref(), address, found),
            Err(failure) => self.note(wanted, address, "does not say who it is", failure),
        }
        self.service.looked_into(address);
    }

    async fn install(&self, disk: DiskId, address: &str, genesis: Genesis) {
        let installed = call_install(&self.tls, address, genesis).await;
        // Whatever it answered: what the disk says of itself counts. After a refusal this
        // finds the other genesis that it holds.
        match (installed, call_identity(&self.tls, address).await) {
            (Ok(()), Ok(found)) => self.take(Some(&disk), address, found),
            (Err(Failure::Refused(reason)), Ok(found)) => {
                let blank = found.genesis.is_none();
                let same = found.disk_id == disk;
                self.take(Some(&disk), address, found);
                if blank && same {
                    let reason = format!("{address} refuses the genesis: {reason}");
                    self.service.on(Event::Refused { disk, reason });
                }
            }
            (Err(failure), _) | (Ok(()), Err(failure)) => {
                self.note(Some(disk), address, "cannot be given the genesis", failure);
            }
        }
    }

    async fn confirm(&self, disk: DiskId, address: &str, cluster_id: String) {
        let confirmed = match call_confirm(&self.tls, address, cluster_id).await {
            Ok(()) => call_identity(&self.tls, address).await,
            Err(failure) => Err(failure),
        };
        match confirmed {
            Ok(found) if found.disk_id == disk && found.confirmed => {
                tracing::info!(address, "confirmed");
                self.service.on(Event::Confirmed { disk });
            }
            Ok(found) => self.take(Some(&disk), address, found),
            Err(failure) => self.note(Some(disk), address, "cannot be confirmed", failure),
        }
    }

    /// What a node said of itself. `wanted`: the disk that was expected there.
    fn take(&self, wanted: Option<&DiskId>, address: &str, found: GetIdentityResponse) {
        let GetIdentityResponse {
            disk_id: disk,
            genesis,
            confirmed,
            node,
        } = found;
        if let Some(wanted) = wanted.filter(|wanted| **wanted != disk) {
            let reason = format!(
                "at {address} answers disk {disk} instead of {wanted}: two replicas advertise \
                 one address, or the replica has lost its disk"
            );
            self.service.on(Event::Refused {
                disk: wanted.clone(),
                reason,
            });
        }
        let Some(genesis) = genesis.map(Genesis::from) else {
            if wanted == Some(&disk) {
                self.service.on(Event::Blank { disk });
            }
            return;
        };
        match self.service.vet(&disk, node, &genesis) {
            Ok(()) => self.service.on(Event::Holds {
                disk,
                genesis,
                confirmed,
            }),
            Err(error) => {
                tracing::warn!(address, %error, "a replica is not of this cluster");
                self.service.on(Event::Refused {
                    disk,
                    reason: error.to_string(),
                });
            }
        }
    }

    fn note(&self, disk: Option<DiskId>, address: &str, words: &str, failure: Failure) {
        match failure {
            Failure::Unreachable(error) => tracing::debug!(address, error, "{words}"),
            Failure::Refused(reason) => {
                tracing::warn!(address, reason, "{words}");
                if let Some(disk) = disk {
                    let reason = format!("{address} {words}: {reason}");
                    self.service.on(Event::Refused { disk, reason });
                }
            }
        }
    }
}

/// Connects to a replica. An answer may take `timeout`.
pub(crate) async fn admin(
    tls: &tls::Mutual,
    address: &str,
    timeout: Duration,
) -> Result<AdminClient<Channel>, Failure> {
    let unreachable =
        |error: tonic::transport::Error| Failure::Unreachable(ops::errors::chain(&error));
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| Failure::Refused(format!("its address is not one: {error}")))?
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout);
    let connected = tls.connect(&endpoint, &[tls::Role::Replica]).await;
    let channel = connected.map_err(unreachable)?;
    Ok(AdminClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX))
}

/// What a status means to who asked.
pub(crate) fn failure(status: tonic::Status) -> Failure {
    let words = status.message().to_owned();
    match status.code() {
        Code::FailedPrecondition
        | Code::Aborted
        | Code::InvalidArgument
        | Code::Unimplemented
        | Code::PermissionDenied
        | Code::Unauthenticated => Failure::Refused(words),
        code => Failure::Unreachable(format!("{code:?}: {words}")),
    }
}

async fn call_identity(tls: &tls::Mutual, address: &str) -> Result<GetIdentityResponse, Failure> {
    let answer = admin(tls, address, CALL_TIMEOUT)
        .await?
        .get_identity(GetIdentityRequest {})
        .await;
    Ok(answer.map_err(failure)?.into_inner())
}

async fn call_install(tls: &tls::Mutual, address: &str, genesis: Genesis) -> Result<(), Failure> {
    let request = InstallGenesisRequest {
        genesis: Some(genesis.into()),
    };
    admin(tls, address, CALL_TIMEOUT)
        .await?
        .install_genesis(request)
        .await
        .map_err(failure)
        .map(drop)
}

async fn call_confirm(tls: &tls::Mutual, address: &str, cluster_id: String) -> Result<(), Failure> {
    let request = ConfirmGenesisRequest { cluster_id };
    admin(tls, address, CALL_TIMEOUT)
        .await?
        .confirm_genesis(request)
        .await
        .map_err(failure)
        .map(drop)
}
