//! Traces of commands on their way through this replica: which slots are traced, until they are
//! applied.
//!
//! In: the traces of what is proposed here or received from a leader. Out: the spans
//! `acceptor.persist` with `acceptor.fsync` (each acceptor's, the leader's too) and
//! `replica.apply`, and what the next one on the way must know.
//! Must hold: a trace is beside the protocol. It is in no row and in no decision, nobody waits for
//! it, and it is given up when there is no room. Nothing is kept for a slot that is applied.
//! While nothing is traced, asking costs one load of an atomic.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ops::traces::{Context, KeyValue, Live, begin, record};
use paxos::entry::Entry;
use paxos::ids::{Ballot, NodeId, PersistSeq, Slot};
use paxos::message::Message;
use paxos::output::PersistOp;
use proto::v1::TracedSlot;

use crate::limits::{TRACED_SLOTS_MAX, TRACES_FRAME_MAX, TRACES_SLOT_MAX};

/// What is traced. Shared by the driver, the log's writer and the thread that applies.
#[derive(Debug)]
pub(crate) struct Traces {
    node: NodeId,
    /// Whether there is anything in `state` at all.
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    slots: BTreeMap<Slot, Traced>,
    /// Rows of those slots on their way to the disk, in the order of their requests.
    persisting: VecDeque<Persisting>,
    /// What is not above it is over.
    applied: Slot,
}

/// The commands of one slot that are traced.
#[derive(Debug)]
pub(crate) struct Traced {
    /// Another leader may have put something else there.
    ballot: Ballot,
    /// The leader's spans.
    parents: Vec<Context>,
}

#[derive(Debug)]
struct Persisting {
    seq: PersistSeq,
    slot: Slot,
    ballot: Ballot,
    parents: Vec<Context>,
    since: SystemTime,
}

/// Begins the span of a command that came from a gateway; until it is decided.
pub(crate) fn proposed(traceparent: &str, node: NodeId) -> Option<Live> {
    let parent = Context::sampled(traceparent)?;
    begin(Some(parent), || {
        tracing::info_span!(
            target: ops::traces::TARGET,
            parent: None,
            "leader.propose",
            trace_id = tracing::field::Empty,
            node = node.0,
            slot = tracing::field::Empty,
        )
    })
}

/// For the wire.
pub(crate) fn to_wire(traces: &[(Slot, Context)]) -> Vec<TracedSlot> {
    let wire = |(slot, context): &(Slot, Context)| TracedSlot {
        slot: slot.0,
        traceparent: context.to_string(),
    };
    traces.iter().map(wire).collect()
}

/// From the wire; nothing while no spans are exported.
pub(crate) fn from_wire(traces: &[TracedSlot]) -> Vec<(Slot, Context)> {
    let known = |traced: &TracedSlot| {
        let context = Context::sampled(&traced.traceparent)?;
        Some((Slot(traced.slot), context))
    };
    traces
        .iter()
        .take(TRACES_FRAME_MAX)
        .filter_map(known)
        .collect()
}

impl Traces {
    /// At start.
    pub(crate) fn new(node: NodeId, applied: Slot) -> Self {
        Self {
            node,
            any: AtomicBool::new(false),
            state: Mutex::new(State {
                slots: BTreeMap::new(),
                persisting: VecDeque::new(),
                applied,
            }),
        }
    }

    /// This replica put traced commands into a slot.
    pub(crate) fn note_proposed(&self, slot: Slot, ballot: Ballot, parents: &[Context]) {
        if parents.is_empty() {
            return;
        }
        let mut state = self.lock();
        parents
            .iter()
            .for_each(|parent| state.note(slot, ballot, *parent));
        self.any.store(!state.is_empty(), Ordering::Release);
    }

    /// A leader sent these messages, and said what of their rows is traced.
    pub(crate) fn note_received(&self, messages: &[Message], traces: &[(Slot, Context)]) {
        if traces.is_empty() {
            return;
        }
        let rows = messages.iter().flat_map(accepted_rows);
        let ballots: BTreeMap<Slot, Ballot> = rows.map(|row| (row.slot, row.ballot)).collect();
        let mut state = self.lock();
        for (slot, parent) in traces {
            if let Some(ballot) = ballots.get(slot) {
                state.note(*slot, *ballot, *parent);
            }
        }
        self.any.store(!state.is_empty(), Ordering::Release);
    }

    /// What is traced of the rows in a message.
    pub(crate) fn of(&self, message: &Message) -> Vec<(Slot, Context)> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let state = self.lock();
        let mut found = Vec::new();
        for row in accepted_rows(message) {
            let parents = state.parents(row);
            found.extend(parents.iter().map(|parent| (row.slot, *parent)));
        }
        found
    }

    /// These rows are about to be handed to the log's writer.
    pub(crate) fn note_persisting(&self, seq: PersistSeq, ops: &[PersistOp]) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let since = SystemTime::now();
        let mut state = self.lock();
        for op in ops {
            let PersistOp::Accept(rows) = op else {
                continue;
            };
            for row in rows {
                let parents = state.parents(row).to_vec();
                if parents.is_empty() || state.persisting.len() >= TRACED_SLOTS_MAX {
                    continue;
                }
                state.persisting.push_back(Persisting {
                    seq,
                    slot: row.slot,
                    ballot: row.ballot,
                    parents,
                    since,
                });
            }
        }
    }

    /// Requests up to this one are durable, by a transaction that took so long and ended now.
    pub(crate) fn persisted(&self, seq: PersistSeq, commit_us: u64) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let now = SystemTime::now();
        let mut durable = Vec::new();
        let mut state = self.lock();
        while let Some(rows) = state.persisting.pop_front_if(|rows| rows.seq <= seq) {
            durable.push(rows);
        }
        self.any.store(!state.is_empty(), Ordering::Release);
        drop(state);
        let committing = now.checked_sub(Duration::from_micros(commit_us));
        for rows in durable {
            // The clock may have been set back meanwhile.
            let began = rows.since.min(now);
            let fsync = committing.unwrap_or(began).clamp(began, now);
            for parent in &rows.parents {
                let attributes = vec![
                    self.node_attribute(),
                    number("slot", rows.slot.0),
                    KeyValue::new("ballot", rows.ballot.to_string()),
                ];
                let persist = record("acceptor.persist", *parent, (began, now), attributes);
                if let Some(persist) = persist {
                    let attributes = vec![self.node_attribute()];
                    record("acceptor.fsync", persist, (fsync, now), attributes);
                }
            }
        }
    }

    /// These entries are about to be applied: what is traced of them. Nothing is kept of them or
    /// of what is below.
    pub(crate) fn take(&self, entries: &[Entry]) -> Vec<(Slot, Traced)> {
        let (true, Some(last)) = (self.any.load(Ordering::Acquire), entries.last()) else {
            return Vec::new();
        };
        let mut state = self.lock();
        let taken = entries.iter().filter_map(|entry| {
            let traced = state.slots.remove(&entry.slot)?;
            // Else the slot was decided for somebody else's entry.
            (traced.ballot == entry.ballot).then_some((entry.slot, traced))
        });
        let taken = taken.collect();
        state.forget_up_to(last.slot);
        self.any.store(!state.is_empty(), Ordering::Release);
        taken
    }

    /// They were applied, in a transaction that began then: the spans of that, by slot.
    pub(crate) fn applied(
        &self,
        traced: Vec<(Slot, Traced)>,
        began: Instant,
    ) -> Vec<(Slot, Context)> {
        if traced.is_empty() {
            return Vec::new();
        }
        let now = SystemTime::now();
        let began = now.checked_sub(began.elapsed()).unwrap_or(now);
        let mut spans = Vec::with_capacity(traced.len());
        for (slot, traced) in traced {
            for parent in traced.parents {
                let attributes = vec![self.node_attribute(), number("slot", slot.0)];
                let span = record("replica.apply", parent, (began, now), attributes);
                spans.extend(span.map(|span| (slot, span)));
            }
        }
        spans
    }

    fn node_attribute(&self) -> KeyValue {
        number("node", self.node.0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is whole before the guard is dropped.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.persisting.is_empty()
    }

    fn note(&mut self, slot: Slot, ballot: Ballot, parent: Context) {
        if slot <= self.applied {
            return;
        }
        let traced = self.slots.entry(slot).or_insert_with(|| Traced {
            ballot,
            parents: Vec::new(),
        });
        if ballot > traced.ballot {
            traced.parents.clear();
            traced.ballot = ballot;
        }
        // A leader that is not answered sends its rows again.
        let again = traced.parents.contains(&parent);
        if ballot == traced.ballot && !again && traced.parents.len() < TRACES_SLOT_MAX {
            traced.parents.push(parent);
        }
        if self.slots.len() > TRACED_SLOTS_MAX {
            self.slots.pop_first();
        }
    }

    fn parents(&self, row: &Entry) -> &[Context] {
        let traced = self.slots.get(&row.slot);
        traced
            .filter(|traced| traced.ballot == row.ballot)
            .map_or(&[], |traced| &traced.parents)
    }

    fn forget_up_to(&mut self, applied: Slot) {
        self.applied = self.applied.max(applied);
        while self
            .slots
            .first_key_value()
            .is_some_and(|(slot, _)| *slot <= applied)
        {
            self.slots.pop_first();
        }
    }
}

fn accepted_rows(message: &Message) -> &[Entry] {
    match message {
        Message::Accept(accept) => &accept.entries,
        _ => &[],
    }
}

/// The exporter knows signed numbers only.
fn number(name: &'static str, value: u64) -> KeyValue {
    KeyValue::new(name, i64::try_from(value).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use paxos::entry::{Chain, EntryKind};
    use paxos::ids::{Epoch, Round, Timestamp};
    use paxos::message::Accept;

    fn context(number: u64) -> Context {
        let text = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{number:016x}-01");
        Context::parse(&text).expect("valid")
    }

    fn ballot(round: u64) -> Ballot {
        Ballot {
            epoch: Epoch::FIRST,
            round: Round(round),
            node: NodeId(1),
        }
    }

    fn row(slot: u64, round: u64) -> Entry {
        let (kind, at) = (EntryKind::Batch, Timestamp(1));
        Entry::new(
            Chain::GENESIS,
            Slot(slot),
            ballot(round),
            kind,
            at,
            Bytes::new(),
        )
    }

    fn accept(slot: u64, round: u64) -> Message {
        Message::Accept(Accept {
            ballot: ballot(round),
            base: Slot(1024),
            first: Slot(slot),
            entries: vec![row(slot, round)],
            decided: Slot(1023),
        })
    }

    fn traces() -> Traces {
        Traces::new(NodeId(1), Slot(1023))
    }

    fn taken(traces: &Traces, slot: u64, round: u64) -> Vec<Context> {
        let taken = traces.take(&[row(slot, round)]);
        taken.into_iter().flat_map(|(_, t)| t.parents).collect()
    }

    #[test]
    fn a_trace_goes_with_the_row_until_it_is_applied_and_is_forgotten_then() {
        let traces = traces();
        traces.note_proposed(Slot(1024), ballot(1), &[context(1), context(2)]);
        let sent = traces.of(&accept(1024, 1));
        assert_eq!(sent, [(Slot(1024), context(1)), (Slot(1024), context(2))]);
        let follower = self::traces();
        for _ in 0..2 {
            // The second time the row is sent again.
            follower.note_received(&[accept(1024, 1)], &sent);
        }
        follower.note_persisting(PersistSeq(7), &[PersistOp::Accept(vec![row(1024, 1)])]);
        follower.persisted(PersistSeq(6), 10);
        assert_eq!(follower.lock().persisting.len(), 1, "not durable yet");
        follower.persisted(PersistSeq(7), 10);
        assert_eq!(taken(&follower, 1024, 1), [context(1), context(2)]);
        assert!(follower.lock().is_empty() && !follower.any.load(Ordering::Acquire));
        follower.note_received(&[accept(1024, 1)], &sent);
        assert!(follower.lock().is_empty(), "it is applied already");
    }

    #[test]
    fn what_another_leader_put_there_is_not_of_this_trace() {
        let traces = traces();
        traces.note_proposed(Slot(1024), ballot(1), &[context(1)]);
        assert!(traces.of(&accept(1024, 2)).is_empty());
        assert!(taken(&traces, 1024, 2).is_empty());
        assert!(traces.lock().is_empty());

        traces.note_proposed(Slot(1025), ballot(1), &[context(1)]);
        let newer = [(Slot(1025), context(2))];
        traces.note_received(&[accept(1025, 2)], &newer);
        assert_eq!(taken(&traces, 1025, 2), [context(2)]);
    }

    #[test]
    fn a_trace_without_its_row_is_not_kept() {
        let traces = traces();
        traces.note_received(&[accept(1024, 1)], &[(Slot(1025), context(1))]);
        assert!(traces.lock().is_empty());
    }

    #[test]
    fn everything_is_bounded() {
        let traces = traces();
        let last = 1024 + 2 * TRACED_SLOTS_MAX as u64;
        for slot in 1024..=last {
            let many: Vec<Context> = (1..100).map(context).collect();
            traces.note_proposed(Slot(slot), ballot(1), &many);
            let rows = PersistOp::Accept(vec![row(slot, 1)]);
            traces.note_persisting(PersistSeq(slot), &[rows]);
        }
        assert_eq!(traces.lock().slots.len(), TRACED_SLOTS_MAX);
        assert_eq!(traces.lock().persisting.len(), TRACED_SLOTS_MAX);
        traces.persisted(PersistSeq(last), 1);
        assert_eq!(taken(&traces, last, 1).len(), TRACES_SLOT_MAX);
        assert!(traces.lock().is_empty(), "what is below is over, too");
    }

    #[test]
    fn what_is_not_traced_adds_no_byte_to_the_wire() {
        use prost::Message as _;
        use proto::v1::PeerMessages;
        let message = accept(1024, 1);
        let frame = PeerMessages {
            messages: vec![crate::wire::encode(&message)],
            traces: to_wire(&traces().of(&message)),
        };
        // The encoding is that of the field `messages` alone.
        let inner = frame.messages[0].encoded_len();
        let tag_and_length = 1 + prost::length_delimiter_len(inner);
        assert_eq!(frame.encoded_len(), tag_and_length + inner);
        // And nothing is exported by this process: what others say of traces is passed over.
        let told = to_wire(&[(Slot(1024), context(1))]);
        assert_eq!(told.len(), 1);
        assert!(from_wire(&told).is_empty());
        assert!(proposed(&context(1).to_string(), NodeId(1)).is_none());
    }
}
