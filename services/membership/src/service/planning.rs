//! What the service plans with the voters: gathers the view for `plan`, remembers what became of
//! it, keeps which places are drained.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{GENESIS_NODE_MAX, Service, State};
use crate::config::Options;
use crate::detector::{Detector, Uptime};
use crate::errors::Error;
use crate::limits::{DRAINING_MAX, FAILURE_PAUSE, FAILURE_PAUSE_MAX};
use crate::plan::{self, Decision, Miss, Policy, Standby, Step, View, Voter, plan};
use crate::store::Store;

/// A change to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What.
    pub step: Step,
    /// Why, in words.
    pub reason: String,
    /// Where the leader is.
    pub leader: String,
    /// The epoch that it ends, and no other.
    pub epoch: u64,
    /// The voters afterwards.
    pub voters: Vec<u64>,
    /// The step with the addresses of its nodes, for people.
    pub words: String,
}

/// What is remembered between two decisions.
#[derive(Debug)]
pub(super) struct Planning {
    policy: Policy,
    /// Addresses. A place and not a node is drained: a new node there is not to vote either.
    draining: BTreeSet<String>,
    /// A change of this process is under way.
    changing: bool,
    /// After a failure: not before then, how often it failed in sequence, and why it did.
    not_before: Uptime,
    failures: u32,
    trouble: String,
    /// The last change, in words.
    made: String,
    /// What was logged last, without its figures.
    said: String,
}

impl Planning {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            policy: Policy {
                wished: options.voters,
                auto: options.voters_auto,
                replace_after: Duration::from_millis(options.replace_after_ms),
                pause: Duration::from_millis(options.change_pause_ms),
            },
            draining: BTreeSet::new(),
            changing: false,
            not_before: Uptime::ZERO,
            failures: 0,
            trouble: String::new(),
            made: String::new(),
            said: String::new(),
        }
    }

    pub(super) fn is_draining(&self, address: &str) -> bool {
        self.draining.contains(address)
    }

    pub(super) fn last_change(&self) -> &str {
        &self.made
    }

    /// Logs a decision when it is another one; the figures in it change every moment.
    fn say(&mut self, decision: &Decision) {
        let words = &decision.reason;
        let gist: String = words.chars().filter(|c| !c.is_ascii_digit()).collect();
        if gist != self.said {
            tracing::info!("voters: {words}");
            self.said = gist;
        }
    }
}

impl State {
    /// How many voters the cluster is brought to; 0: as many as there are.
    pub(super) fn wished(&self, detector: Detector, now: Uptime) -> usize {
        plan::wished(&self.view(detector, now), &self.planning.policy)
    }

    /// What is known at this moment.
    fn view(&self, detector: Detector, now: Uptime) -> View {
        let genesis = self.forming.genesis();
        let voter = |node: &u64| {
            let server = self.registry.node(*node, genesis);
            let last_heard = server.and_then(|server| server.last_heard);
            let by = self
                .registry
                .missed_by(*node, genesis, &self.voters, detector, now);
            Voter {
                node: *node,
                suspected_for: detector.silence(last_heard, now),
                missed_by: by
                    .into_iter()
                    .map(|(by, for_long)| Miss { by, for_long })
                    .collect(),
                leading: server.is_some_and(|s| s.leading && s.epoch == self.voters.epoch),
                draining: server.is_some_and(|s| self.planning.is_draining(&s.address)),
                decided: server.map_or(0, |server| server.decided),
            }
        };
        let head = self.registry.head();
        let waits = |node: u64| node > GENESIS_NODE_MAX && !self.voters.nodes.contains(&node);
        let standbys = self.registry.known().filter(|server| waits(server.node));
        View {
            epoch: self.voters.epoch,
            settled: self.voters.ready,
            changing: self.planning.changing,
            voters: self.voters.nodes.iter().map(voter).collect(),
            standbys: standbys
                .map(|server| Standby {
                    node: server.node,
                    suspected: detector.suspects(server.last_heard, now),
                    caught_up: server.caught_up,
                    lag: head.saturating_sub(server.decided),
                    draining: self.planning.is_draining(&server.address),
                })
                .collect(),
            last_change: self.voters.changed,
            now,
        }
    }

    /// What is to be done and by which leader, or why nothing is.
    fn decide(&self, detector: Detector, now: Uptime) -> (Decision, Option<String>) {
        let view = self.view(detector, now);
        let decision = plan(&view, &self.planning.policy);
        let leads = |voter: &&Voter| voter.leading && voter.suspected_for.is_none();
        let leader = view.voters.iter().filter(leads).max_by_key(|v| v.decided);
        let genesis = self.forming.genesis();
        let server = leader.and_then(|leader| self.registry.node(leader.node, genesis));
        let address = server.map(|server| server.address.clone());
        if decision.step.is_some() && address.is_none() {
            let reason = format!("{}, but no leader is heard", decision.reason);
            return (Decision::nothing(reason), None);
        }
        (decision, address)
    }

    /// The decision for people.
    pub(super) fn plan_in_words(&self, detector: Detector, now: Uptime) -> String {
        if !self.forming.is_formed() {
            return String::new();
        }
        let Decision { step, reason } = self.decide(detector, now).0;
        let mut words = match step {
            Some(step) => format!("{step}: {reason}"),
            None => reason,
        };
        if !self.planning.trouble.is_empty() {
            words.push_str("; the last attempt failed: ");
            words.push_str(&self.planning.trouble);
        }
        words
    }

    /// `r3 (127.0.0.1:1063)`.
    fn name(&self, node: u64) -> String {
        let server = self.registry.node(node, self.forming.genesis());
        let address = server.map_or("address unknown", |server| server.address.as_str());
        format!("r{node} ({address})")
    }

    fn in_words(&self, step: Step) -> String {
        let name = |node| self.name(node);
        match step {
            Step::Replace { old, new } => format!("replace {} by {}", name(old), name(new)),
            Step::Add { new } => format!("add {}", name(new)),
            Step::Remove { old } => format!("remove {}", name(old)),
            Step::Transfer { from, to } => {
                format!("hand the lead from {} to {}", name(from), name(to))
            }
        }
    }
}

impl Service {
    /// The next change, if one is due. Whoever takes it tells by [`Service::changed`] what became
    /// of it; until then there is no other.
    #[must_use]
    pub fn next_change(&self) -> Option<Order> {
        let now = self.uptime();
        let mut state = self.lock();
        if !state.forming.is_formed() || now < state.planning.not_before {
            return None;
        }
        let (decision, leader) = state.decide(self.0.detector, now);
        // While one is under way it is not news that there is one.
        if !state.planning.changing {
            state.planning.say(&decision);
        }
        let (step, leader) = (decision.step?, leader?);
        state.planning.changing = true;
        let (epoch, voters) = (state.voters.epoch, step.apply(&state.voters.nodes));
        Some(Order {
            step,
            reason: decision.reason,
            leader,
            epoch,
            voters,
            words: state.in_words(step),
        })
    }

    /// What became of a change: the epoch that it began (for a hand-over, the one that goes on),
    /// or why it was not made.
    pub fn changed(&self, order: &Order, outcome: Result<u64, String>) {
        let now = self.uptime();
        let mut state = self.lock();
        state.planning.changing = false;
        let Order { words, reason, .. } = order;
        match outcome {
            Ok(epoch) => {
                state.voters.note(epoch, &order.voters, false, now);
                state.planning.failures = 0;
                state.planning.trouble.clear();
                tracing::info!(epoch, reason, "done: {words}");
                state.planning.made = format!("epoch {epoch}: {words}: {reason}");
            }
            Err(error) => {
                let planning = &mut state.planning;
                let factor = 1 << planning.failures.min(10);
                let pause = (FAILURE_PAUSE * factor).min(FAILURE_PAUSE_MAX);
                planning.failures = planning.failures.saturating_add(1);
                planning.not_before = now + pause;
                let leader = &order.leader;
                tracing::warn!(error, leader, reason, "not done: {words}; trying again");
                planning.trouble = format!("{words}: {error}");
            }
        }
    }

    /// At start: these places are drained.
    pub fn drain(&self, addresses: BTreeSet<String>) {
        if !addresses.is_empty() {
            tracing::info!(?addresses, "drained: nobody there is to vote");
        }
        self.lock().planning.draining = addresses;
    }

    /// Drains the place where a node is, or lifts that; answers with its address when it is
    /// durable.
    pub async fn set_draining(
        &self,
        store: &Store,
        node: u64,
        draining: bool,
    ) -> Result<String, Error> {
        let _one = self.0.draining.lock().await;
        let (address, wanted) = self.lock().with_draining(node, draining)?;
        let (store, saved) = (store.clone(), wanted.clone());
        let stored = tokio::task::spawn_blocking(move || store.save_draining(&saved)).await;
        match stored {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Error::NotStored(error.to_string())),
            Err(error) => return Err(Error::NotStored(error.to_string())),
        }
        self.lock().planning.draining = wanted;
        tracing::info!(node, address, draining, "the drained places changed");
        Ok(address)
    }
}

impl State {
    /// Where a node is, and the drained places as they are to be.
    fn with_draining(
        &self,
        node: u64,
        draining: bool,
    ) -> Result<(String, BTreeSet<String>), Error> {
        let found = self.registry.node(node, self.forming.genesis());
        let address = found.map(|server| server.address.clone());
        let known = address.filter(|address| !address.is_empty());
        let address = known.ok_or(Error::NoSuchNode { node })?;
        let mut wanted = self.planning.draining.clone();
        if draining {
            wanted.insert(address.clone());
        } else {
            wanted.remove(&address);
        }
        if wanted.len() > DRAINING_MAX {
            let reason = format!("{DRAINING_MAX} places are drained already; undrain one first");
            return Err(Error::Invalid {
                field: "node",
                reason,
            });
        }
        Ok((address, wanted))
    }
}
