//! What a replica tells the membership service, again and again. Nothing here decides anything:
//! a member goes on without it.

mod join;
mod missed;

use std::sync::Arc;
use std::time::Duration;

use paxos::status::RoleName;
use proto::v1::heartbeat_request::Kind;
use proto::v1::membership_client::MembershipClient;
use proto::v1::{
    GetServersRequest, HeartbeatRequest, HeartbeatResponse, RegisterRequest, RegisterResponse,
    ReplicaHeartbeat,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::directory::Directory;
use crate::errors::plain;
use crate::limits::{HEARTBEAT_MAX, HEARTBEAT_MIN, MEMBERSHIP_TIMEOUT, REGISTER_EVERY};
use crate::logs::Seldom;
use crate::role::{Member, Shared};
use missed::Missed;

/// Speaks with the service at one address.
pub(crate) struct Membership {
    client: MembershipClient<Channel>,
    endpoint: Endpoint,
    tls: tls::Mutual,
    url: String,
    /// For failures that last.
    unreachable: Seldom,
    waiting: Seldom,
}

impl Membership {
    /// Connects when there is something to say, and again after every failure.
    pub(crate) fn new(url: &str, tls: &tls::Mutual) -> Result<Self, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(url.to_owned())?
            .connect_timeout(MEMBERSHIP_TIMEOUT)
            .timeout(MEMBERSHIP_TIMEOUT)
            .tcp_nodelay(true);
        Ok(Self {
            client: connect(&endpoint, tls),
            endpoint,
            tls: tls.clone(),
            url: url.to_owned(),
            unreachable: Seldom::default(),
            waiting: Seldom::default(),
        })
    }

    /// Asks for a cluster until the task is ended: until the genesis is confirmed. When there is
    /// one already, asks that one for a node id.
    pub(crate) async fn register(&mut self, shared: &Arc<Shared>) {
        loop {
            match self.register_once(shared).await {
                Ok(answer) => {
                    self.unreachable.reset();
                    let waiting_for = &answer.waiting_for;
                    if self.waiting.due() {
                        tracing::info!(waiting_for, "registered with membership");
                    }
                    self.join(shared, &answer).await;
                }
                Err(status) => self.report(&status, "a new replica waits for membership"),
            }
            tokio::time::sleep(REGISTER_EVERY).await;
        }
    }

    async fn join(&mut self, shared: &Arc<Shared>, answer: &RegisterResponse) {
        if answer.join.is_empty() {
            return;
        }
        match join::join(shared, &answer.join).await {
            Ok(node) => tracing::info!(%node, "this disk joined the cluster as a new node"),
            Err(error) => {
                if self.waiting.due() {
                    let error = ops::errors::chain(&error);
                    tracing::warn!(error, "this disk could not join the cluster; trying again");
                }
            }
        }
    }

    /// Tells that a member is alive, until the task is ended.
    pub(crate) async fn beat(&mut self, shared: &Shared, member: &Arc<Member>) {
        let mut wait = HEARTBEAT_MIN;
        let mut registered = false;
        let mut missed = Missed::default();
        loop {
            if !registered {
                // So that a service that lost its disk learns of this one. It is refused as the
                // heartbeat is, which says so.
                registered = self.register_once(shared).await.is_ok();
            }
            match self
                .client
                .heartbeat(heartbeat(shared, member, &mut missed))
                .await
            {
                Ok(response) => {
                    self.unreachable.reset();
                    shared.set_foreign(None);
                    wait = learn(member, &response.into_inner());
                }
                Err(status) => {
                    registered = false;
                    self.refused(shared, &status);
                }
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Looks where the others are, until the task is ended: for a replica that takes part in
    /// nothing yet.
    pub(crate) async fn hint(&mut self, others: &Directory) {
        loop {
            match self.client.get_servers(GetServersRequest {}).await {
                Ok(answer) => {
                    others.note_hints(&answer.into_inner().servers);
                }
                Err(status) => self.report(&status, "the last known addresses are used"),
            }
            tokio::time::sleep(HEARTBEAT_MAX / 10).await;
        }
    }

    async fn register_once(&mut self, shared: &Shared) -> Result<RegisterResponse, Status> {
        let identity = shared.identity();
        let identity = identity.ok_or_else(|| Status::unavailable("the log is not open yet"))?;
        let request = RegisterRequest {
            disk_id: identity.disk_id.to_string(),
            address: shared.address.clone(),
            genesis: shared.genesis(),
            confirmed: identity.confirmed,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: identity.genesis.map_or(0, |genesis| genesis.node_id.0),
            process: shared.process,
        };
        Ok(self.client.register(request).await?.into_inner())
    }

    fn refused(&mut self, shared: &Shared, status: &Status) {
        if status.code() == Code::AlreadyExists {
            // As a rule the process before this one, which was heard a moment ago.
            if self.unreachable.due_if_lasting() {
                tracing::error!(membership = self.url, why = plain(status), "no heartbeat");
            }
            return;
        }
        if status.code() != Code::FailedPrecondition {
            self.report(status, "no heartbeat; the chat goes on without membership");
            return;
        }
        let why = plain(status);
        if self.unreachable.due() {
            tracing::error!(
                membership = self.url,
                why,
                "this replica's disk belongs to another cluster or node than membership knows: \
                 it serves no clients; mount the right directory, or correct MEMBERSHIP"
            );
        }
        shared.set_foreign(Some(why));
    }

    /// Membership did not answer, or somebody else did: on Kubernetes the address of a pod that is
    /// gone is given to another one, and a connection can end there. So the next word goes out on a
    /// new connection.
    fn report(&mut self, status: &Status, what: &str) {
        self.client = connect(&self.endpoint, &self.tls);
        if self.unreachable.due() {
            tracing::warn!(
                membership = self.url,
                error = plain(status),
                "membership does not answer: {what}; trying again"
            );
        }
    }
}

/// Connects when there is something to say.
fn connect(endpoint: &Endpoint, tls: &tls::Mutual) -> MembershipClient<Channel> {
    MembershipClient::new(tls.connect_lazy(endpoint, &[tls::Role::Membership]))
}

fn heartbeat(shared: &Shared, member: &Member, missed: &mut Missed) -> HeartbeatRequest {
    let status = member.driver.status();
    let voters = &status.configuration.voters;
    let replica = ReplicaHeartbeat {
        node: status.node.0,
        disk_id: member.cluster.disk_id.to_string(),
        address: shared.address.clone(),
        leading: status.role == RoleName::Leader && status.quorum_connected,
        decided: status.decided.0,
        applied: member.signals.applied().0,
        epoch: status.configuration.epoch.0,
        voters: voters.iter().map(|node| node.0).collect(),
        process: shared.process,
        missed: missed.look(&status, member.now()),
        epoch_ready: status.active && status.ready,
    };
    HeartbeatRequest {
        cluster_id: member.cluster.cluster_id.to_string(),
        kind: Some(Kind::Replica(replica)),
    }
}

/// Notes where the others are, and answers when to speak again.
fn learn(member: &Member, response: &HeartbeatResponse) -> Duration {
    if member.directory.note_hints(&response.servers) {
        member.remember_addresses();
    }
    Duration::from_millis(u64::from(response.heartbeat_ms)).clamp(HEARTBEAT_MIN, HEARTBEAT_MAX)
}
