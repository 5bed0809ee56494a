//! The router's task: owns what is pending and the one stream to the leader.

use std::sync::Arc;

use proto::v1::not_accepted::Reason;
use proto::v1::progress::Stage;
use proto::v1::submit_response::Kind;
use proto::v1::{NotAccepted, Outcome, Progress, SubmitRequest, SubmitResponse};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Duration, Instant, MissedTickBehavior, interval};

use crate::channels::Channels;
use crate::cluster::Cluster;
use crate::errors::Error;
use crate::frames::SendState;
use crate::ids::{Cid, NodeId, Slot, UserId};
use crate::limits::{
    LINK_BACKOFF, OVERLOADED_BACKOFF, PENDING_MAX, ROUTER_TICK, ROUTER_TURN_MAX, SUBMIT_SUSPICION,
};
use crate::metrics::METRICS;
use crate::seen::Seen;

use super::link::{self, Link, LinkEvent};
use super::pending::Table;
use super::{Answer, Key, Submit};

pub(super) struct Actor {
    cluster: Cluster,
    channels: Arc<Channels>,
    seen: Arc<Seen>,
    pending: Table,
    link: Option<Link>,
    links: u64,
    /// Everything pending below this index was handed to the current stream.
    cursor: u64,
    /// The stream's queue is full: wait until it takes more.
    blocked: bool,
    /// A replica that another one named as the leader.
    hint: Option<NodeId>,
    /// A hint is followed once per outcome: two replicas that name each other must not make
    /// a busy loop.
    hint_allowed: bool,
    /// No new stream before this.
    retry_at: Instant,
    events: mpsc::Sender<LinkEvent>,
    inbox: Option<mpsc::Receiver<LinkEvent>>,
}

impl Actor {
    pub(super) fn new(cluster: Cluster, channels: Arc<Channels>, seen: Arc<Seen>) -> Self {
        let (events, inbox) = link::events();
        Self {
            cluster,
            channels,
            seen,
            pending: Table::default(),
            link: None,
            links: 0,
            cursor: 0,
            blocked: false,
            hint: None,
            hint_allowed: true,
            retry_at: Instant::now(),
            events,
            inbox: Some(inbox),
        }
    }

    pub(super) async fn run(mut self, mut submits: mpsc::Receiver<Submit>) {
        let Some(mut inbox) = self.inbox.take() else {
            return;
        };
        let mut view = self.cluster.watch();
        let mut tick = interval(ROUTER_TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut new = Vec::with_capacity(ROUTER_TURN_MAX);
        let mut news = Vec::with_capacity(ROUTER_TURN_MAX);
        loop {
            let requests = self.link.as_ref().map(|link| link.requests.clone());
            tokio::select! {
                _ = inbox.recv_many(&mut news, ROUTER_TURN_MAX) => {
                    for event in news.drain(..) {
                        self.event(event);
                    }
                }
                count = submits.recv_many(&mut new, ROUTER_TURN_MAX) => {
                    if count == 0 {
                        return;
                    }
                    for submit in new.drain(..) {
                        self.accept(submit);
                    }
                }
                changed = view.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.view_changed();
                }
                _ = tick.tick(), if !self.pending.is_empty() => self.tick(),
                () = has_room(requests), if self.blocked => self.blocked = false,
            }
            self.pump();
            METRICS.pending(self.pending.len());
        }
    }

    fn accept(&mut self, submit: Submit) {
        if self.pending.len() >= PENDING_MAX {
            let error = Error::overloaded("this gateway has no room for more commands", 200);
            let _ = submit.answers.try_send(Answer::Final {
                cid: submit.key.1,
                result: Err(error),
            });
            return;
        }
        self.pending.insert(submit, Instant::now());
    }

    /// Hands everything unsent to the stream, in order, as far as it takes it.
    fn pump(&mut self) {
        if self.link.is_none() {
            self.connect();
        }
        let Some(link) = self.link.as_ref() else {
            return;
        };
        let now = Instant::now();
        let mut gone = false;
        for (index, pending) in self.pending.starting_at(self.cursor) {
            if self.blocked {
                break;
            }
            match link.requests.try_send(pending.request()) {
                Ok(()) => {
                    pending.sent = Some(now);
                    pending.not_before = None;
                    self.cursor = index.saturating_add(1);
                }
                Err(TrySendError::Full(_)) => self.blocked = true,
                Err(TrySendError::Closed(_)) => {
                    gone = true;
                    break;
                }
            }
        }
        if gone {
            self.lose_link("its task ended", LINK_BACKOFF);
        }
    }

    fn connect(&mut self) {
        if self.pending.is_empty() || Instant::now() < self.retry_at {
            return;
        }
        let view = self.cluster.view();
        let hinted = self.hint.take().and_then(|node| view.node(node));
        let Some(node) = hinted.or_else(|| view.quorum_leader()) else {
            return;
        };
        let Some(pair) = self.channels.get(&node.address) else {
            return;
        };
        self.links = self.links.saturating_add(1);
        tracing::debug!(node = %node.id, "submitting to");
        self.link = Some(Link::open(
            self.links,
            node.id,
            pair.stream,
            self.events.clone(),
        ));
        self.cursor = 0;
        self.blocked = false;
    }

    /// What was on the stream has an unknown fate: it goes out again, with the same cids, in
    /// the same order, over the next stream.
    fn lose_link(&mut self, reason: &str, wait: Duration) {
        let Some(link) = self.link.take() else { return };
        tracing::info!(node = %link.node, pending = self.pending.len(), reason, "left the leader");
        self.pending.forget_sent();
        self.cursor = 0;
        self.blocked = false;
        self.retry_at = Instant::now() + wait;
        self.cluster.suspect();
    }

    fn event(&mut self, event: LinkEvent) {
        let current = self.link.as_ref().map(|link| link.number);
        match event {
            LinkEvent::Response(number, response) => {
                // An outcome is one, whoever says it; a refusal of a stream that was left
                // says nothing about the present one.
                self.response(response, current == Some(number));
            }
            LinkEvent::Closed(number, reason) if current == Some(number) => {
                self.lose_link(&reason, LINK_BACKOFF);
            }
            LinkEvent::Closed(..) => {}
        }
    }

    fn response(&mut self, response: SubmitResponse, current: bool) {
        match response.kind {
            Some(Kind::Outcome(outcome)) => self.outcome(outcome),
            Some(Kind::Progress(progress)) => self.progress(&progress),
            Some(Kind::NotAccepted(refusal)) if current => self.not_accepted(&refusal),
            Some(Kind::NotAccepted(_)) | None => {}
        }
    }

    fn outcome(&mut self, outcome: Outcome) {
        let Some(key) = key(outcome.author, &outcome.cid) else {
            return;
        };
        self.seen.raise(Slot(outcome.slot));
        self.hint_allowed = true;
        if let Some(pending) = self.pending.remove(&key) {
            pending.finish(&Ok(outcome));
        }
    }

    fn progress(&mut self, progress: &Progress) {
        let state = match progress.stage() {
            Stage::Proposed => SendState::Proposed,
            Stage::Chosen => SendState::Chosen,
            Stage::Unspecified => return,
        };
        let pending =
            key(progress.author, &progress.cid).and_then(|key| self.pending.get_mut(&key));
        if let Some(pending) = pending {
            pending.progress(state, Slot(progress.slot));
        }
    }

    fn not_accepted(&mut self, refusal: &NotAccepted) {
        let Some(key) = key(refusal.author, &refusal.cid) else {
            return;
        };
        let reason = refusal.reason();
        let wait = Duration::from_millis(refusal.retry_ms.into()).max(OVERLOADED_BACKOFF);
        if let Some(pending) = self.pending.get_mut(&key) {
            pending.refusal = Some((reason, refusal.retry_ms));
            pending.sent = None;
            pending.not_before = Some(Instant::now() + wait);
        }
        match reason {
            Reason::TooLarge => {
                if let Some(pending) = self.pending.remove(&key) {
                    pending.finish(&Err(Error::not_accepted(Some(reason), 0, true)));
                }
            }
            Reason::Overloaded | Reason::NoSpace => {}
            Reason::NotLeader | Reason::Unspecified | Reason::ShuttingDown => {
                let asked = self.link.as_ref().map(|link| link.node);
                let named = Some(NodeId(refusal.leader)).filter(|node| node.0 > 0);
                let follow = named.filter(|_| self.hint_allowed && named != asked);
                let wait = if follow.is_some() {
                    Duration::ZERO
                } else {
                    LINK_BACKOFF
                };
                self.lose_link("it does not lead", wait);
                self.hint_allowed &= follow.is_none();
                self.hint = follow;
            }
            Reason::NoQuorum => self.lose_link("it has no quorum", wait),
        }
    }

    fn view_changed(&mut self) {
        let view = self.cluster.view();
        let Some(link) = self.link.as_ref() else {
            return;
        };
        let other = view.quorum_leader().filter(|leader| leader.id != link.node);
        // Only another leader is a reason to leave: one missed look at this one is none.
        if let Some(other) = other {
            let reason = format!("r{} leads", other.id);
            self.lose_link(&reason, Duration::ZERO);
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        while let Some(pending) = self.pending.pop_expired(now) {
            let quorum = self.cluster.view().quorum();
            let (reason, retry_ms) = pending
                .refusal
                .map_or((None, 0), |(reason, ms)| (Some(reason), ms));
            // Within its trace, if there is one: the line carries its id then.
            let within = pending.trace.as_ref().map(|trace| trace.span().enter());
            tracing::warn!(cid = %pending.key.1, ?reason, quorum, "no outcome in time");
            drop(within);
            pending.finish(&Err(Error::not_accepted(reason, retry_ms, quorum)));
        }
        let oldest = self.pending.first().and_then(|pending| pending.sent);
        if oldest.is_some_and(|sent| now.duration_since(sent) > SUBMIT_SUSPICION) {
            self.cluster.suspect();
        }
        let cursor = self.cursor;
        let due: Vec<u64> = self
            .pending
            .starting_at(0)
            .take_while(|(index, _)| *index < cursor)
            .filter(|(_, pending)| pending.not_before.is_some_and(|at| at <= now))
            .map(|(index, _)| index)
            .take(ROUTER_TURN_MAX)
            .collect();
        for index in due {
            self.resend(index);
        }
    }

    /// Sends one command again that the stream had refused.
    fn resend(&mut self, index: u64) {
        let Some(link) = self.link.as_ref() else {
            return;
        };
        let Some((_, pending)) = self.pending.starting_at(index).next() else {
            return;
        };
        if link.requests.try_send(pending.request()).is_ok() {
            pending.sent = Some(Instant::now());
            pending.not_before = None;
        } else {
            pending.not_before = Some(Instant::now() + OVERLOADED_BACKOFF);
        }
    }
}

fn key(author: u64, cid: &[u8]) -> Option<Key> {
    Some((UserId(author), Cid::from_bytes(cid)?))
}

async fn has_room(requests: Option<mpsc::Sender<SubmitRequest>>) {
    match requests {
        Some(requests) => drop(requests.reserve().await),
        None => std::future::pending().await,
    }
}
