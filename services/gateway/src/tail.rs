//! Follows the applied log of one replica and hands it to the hub.
//!
//! In: `Tail` of a replica. Out: [`Hub::apply`], slot after slot.
//! Must hold: no slot is left out and none is handed over twice, whichever replicas it came
//! from: a new stream begins after the last slot, and what is not above it is dropped.
//! Tests: tests/faults.rs

use std::sync::Arc;

use proto::v1::chat_client::ChatClient;
use proto::v1::{TailRequest, TailResponse, effect};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tonic::{Code, Status, Streaming};

use crate::channels::Channels;
use crate::cluster::{Cluster, Node, SHARD, View};
use crate::ids::{NodeId, Slot};
use crate::limits::{
    CONNECT_TIMEOUT, REPLY_BYTES_MAX, TAIL_BACKOFF, TAIL_LEADER_SETTLED, TAIL_LOOK, TAIL_STALL,
};
use crate::socket::hub::Hub;
use crate::traces::FanOut;

/// The log of a fresh cluster begins above this: followed from here, nothing is missed, while
/// 0 would mean "whatever comes next".
const BEFORE_THE_FIRST: Slot = Slot(1);

pub(crate) struct Tail {
    cluster: Cluster,
    channels: Arc<Channels>,
    hub: Arc<Hub>,
    /// This gateway's name, for traces.
    gateway: String,
    /// The replica that was left last because something was wrong with it.
    avoid: Option<NodeId>,
    leader: Option<(NodeId, Instant)>,
}

impl Tail {
    pub(crate) fn new(
        cluster: Cluster,
        channels: Arc<Channels>,
        hub: Arc<Hub>,
        gateway: String,
    ) -> Self {
        Self {
            cluster,
            channels,
            hub,
            gateway,
            avoid: None,
            leader: None,
        }
    }

    /// Follows for ever.
    pub(crate) async fn run(mut self) {
        loop {
            let view = self.cluster.view();
            let Some(node) = self.choose(&view).cloned() else {
                sleep(TAIL_BACKOFF).await;
                continue;
            };
            let reason = match self.follow(&node).await {
                Ok(reason) => reason.to_owned(),
                Err(status) => {
                    self.lost(&status);
                    self.cluster.suspect();
                    status.message().to_owned()
                }
            };
            tracing::info!(node = %node.id, slot = %self.hub.position_or_zero(), reason, "left a log");
            self.avoid = Some(node.id);
            sleep(TAIL_BACKOFF).await;
        }
    }

    /// The leader, because it applies first; else whoever has applied most. One that was just
    /// left only if there is no other.
    fn choose<'a>(&self, view: &'a View) -> Option<&'a Node> {
        let leader = view.quorum_leader().map(|node| node.id);
        let serving = view.nodes.iter().filter(|node| node.serves());
        serving.max_by_key(|node| {
            (
                Some(node.id) != self.avoid,
                Some(node.id) == leader,
                node.applied(),
            )
        })
    }

    /// Follows one replica until there is a reason to leave it.
    async fn follow(&mut self, node: &Node) -> Result<&'static str, Status> {
        let after = match self.hub.position() {
            Some(position) => position,
            None => node.applied(),
        };
        let mut log = self.open(node, after).await?;
        self.hub.start_at(after);
        tracing::info!(node = %node.id, after = %after, "follows a log");
        let mut look = interval(TAIL_LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut moved = Instant::now();
        loop {
            tokio::select! {
                response = log.message() => match response? {
                    Some(response) => {
                        self.take(response);
                        moved = Instant::now();
                    }
                    None => return Ok("the replica closed it"),
                },
                _ = look.tick() => {
                    if let Some(reason) = self.reason_to_leave(node, moved) {
                        return Ok(reason);
                    }
                }
            }
        }
    }

    async fn open(&self, node: &Node, after: Slot) -> Result<Streaming<TailResponse>, Status> {
        let pair = self
            .channels
            .get(&node.address)
            .ok_or_else(|| Status::internal("the replica has no address"))?;
        let mut chat = ChatClient::new(pair.stream).max_decoding_message_size(REPLY_BYTES_MAX);
        let request = TailRequest {
            shard: SHARD,
            after_slot: after.max(BEFORE_THE_FIRST).0,
        };
        timeout(CONNECT_TIMEOUT * 2, chat.tail(request))
            .await
            .map_err(|_| Status::deadline_exceeded("it did not open in time"))?
            .map(tonic::Response::into_inner)
    }

    fn take(&mut self, response: TailResponse) {
        self.avoid = None;
        let fan_out = FanOut::begin(&response.traces, self.hub.position_or_zero());
        let effects = response
            .effects
            .into_iter()
            .filter_map(|effect| effect.kind);
        let slot = Slot(response.slot);
        self.hub
            .apply(slot, effects.filter(|kind| self.is_new(kind)));
        fan_out.end(&self.gateway);
    }

    /// A response ends a range of slots, and a range may begin below what another replica
    /// already gave.
    fn is_new(&self, kind: &effect::Kind) -> bool {
        let slot = match kind {
            effect::Kind::Room(event) => event.slot,
            effect::Kind::User(event) => event.slot,
        };
        Slot(slot) > self.hub.position_or_zero()
    }

    fn reason_to_leave(&mut self, node: &Node, moved: Instant) -> Option<&'static str> {
        let view = self.cluster.view();
        let now = Instant::now();
        let stalled = now.duration_since(moved) > TAIL_STALL;
        let position = self.hub.position_or_zero();
        if stalled && view.applied() > position {
            let other = view
                .nodes
                .iter()
                .any(|other| other.id != node.id && other.applied() > position);
            if other {
                return Some("it stands still while another moves");
            }
        }
        let leader = view.quorum_leader()?.id;
        match self.leader {
            Some((known, since)) if known == leader => {
                let settled = now.duration_since(since) > TAIL_LEADER_SETTLED;
                (settled && leader != node.id).then_some("another one leads and applies first")
            }
            _ => {
                self.leader = Some((leader, now));
                None
            }
        }
    }

    /// A replica that no longer has what follows our last slot can never continue our log:
    /// everybody has to begin again from the history.
    fn lost(&self, status: &Status) {
        if status.code() == Code::OutOfRange {
            tracing::error!(%status, "the log cannot be continued: all sockets start again");
            self.hub.reset();
        }
    }
}
