//! Properties over random logs: a few people, rooms and cids, so that everything collides.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

#[path = "support/logs.rs"]
mod logs;
#[path = "support/model.rs"]
mod model;

mod support;

use std::collections::BTreeMap;

use logs::{any_log, any_ordered_log, place};
use machine::{
    AppliedEntry, Asker, HistoryRange, Machine, RoomId, Seq, StateHash, UserId, snapshot,
};
use model::Model;
use paxos::entry::EntryKind;
use paxos::ids::Slot;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proto::v1::{Command, Effect, RoomEvent, effect, outcome, room_event};
use support::{Log, as_read_later, room_effects, user_effects};

struct Run {
    applied: Vec<AppliedEntry>,
    hash: StateHash,
    machine: Machine,
    _directory: tempfile::TempDir,
}

/// Applies the log in calls of the given sizes, over and over.
fn run(log: &Log, sizes: &[usize]) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let mut machine = Machine::open(directory.path().join("state.db")).unwrap();
    let mut applied = Vec::new();
    let mut rest = log.entries.as_slice();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at((*size).clamp(1, rest.len()));
        applied.extend(machine.apply(now).unwrap());
        rest = later;
    }
    let hash = machine.state_hash().unwrap();
    Run {
        applied,
        hash,
        machine,
        _directory: directory,
    }
}

fn commands(log: &Log) -> Vec<Vec<Command>> {
    use prost::Message as _;
    log.entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::Batch)
        .map(|entry| {
            proto::v1::Batch::decode(entry.payload.clone())
                .unwrap()
                .commands
        })
        .collect()
}

/// A message of history with the text that it had at first; other events without mentions. What
/// has become of it is compared in tests/changes.rs.
fn as_written(event: &RoomEvent, emitted: &[RoomEvent]) -> RoomEvent {
    let mut event = event.clone();
    let first = emitted[event.seq as usize - 1].kind.clone();
    match (&mut event.kind, first) {
        (Some(room_event::Kind::Message(message)), Some(room_event::Kind::Message(first))) => {
            message.mentions.clear();
            if let Some(state) = message.state.take()
                && state.edited_seq > 0
            {
                message.body = first.body;
            }
        }
        (Some(room_event::Kind::Edited(edited)), _) => edited.mentions.clear(),
        _ => {}
    }
    event
}

/// An effect without what depends on the slot.
fn slotless(effect: &Effect) -> Effect {
    let mut effect = effect.clone();
    match effect.kind.as_mut().unwrap() {
        effect::Kind::Room(event) => (event.slot, event.timestamp_ms) = (0, 0),
        effect::Kind::User(event) => event.slot = 0,
    }
    effect
}

/// Property: the logs of this file reach every kind of answer and of refusal, or the properties
/// below would say nothing about it.
#[test]
fn random_logs_reach_every_answer() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut seen, mut duplicates) = (BTreeMap::new(), 0);
    for round in 0..120 {
        let log = if round % 2 == 0 {
            any_log().new_tree(&mut runner).unwrap().current()
        } else {
            any_ordered_log().new_tree(&mut runner).unwrap().current()
        };
        for outcome in run(&log, &[9999])
            .applied
            .iter()
            .flat_map(|entry| &entry.outcomes)
        {
            duplicates += u32::from(outcome.duplicate);
            let kind = match outcome.result.as_ref().unwrap() {
                outcome::Result::AccountCreated(_) => "account created",
                outcome::Result::Done(_) => "done",
                outcome::Result::RoomChanged(_) => "room changed",
                outcome::Result::MessagePosted(_) => "message posted",
                outcome::Result::SenderSessionOpened(_) => "sender session opened",
                outcome::Result::InvitationCreated(_) => "invitation created",
                outcome::Result::Refusal(refusal) => refusal.code().as_str_name(),
            };
            *seen.entry(kind).or_insert(0) += 1;
        }
    }
    assert_eq!(seen.len(), 5 + 9, "{seen:?}");
    assert!(seen.values().all(|count| *count >= 10), "{seen:?}");
    assert!(duplicates >= 100, "{duplicates}");
}

fn either_log() -> impl Strategy<Value = Log> {
    prop_oneof![any_log(), any_ordered_log()]
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 64,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// Property: answers, effects and state are a function of the log: how it is cut into calls
    /// makes no difference.
    #[test]
    fn calls_do_not_matter(log in either_log(), sizes in vec(1..9_usize, 1..5)) {
        let (one_by_one, cut, at_once) = (run(&log, &[1]), run(&log, &sizes), run(&log, &[9999]));
        prop_assert_eq!(&one_by_one.applied, &cut.applied);
        prop_assert_eq!(&one_by_one.applied, &at_once.applied);
        prop_assert_eq!(one_by_one.hash, cut.hash);
        prop_assert_eq!(one_by_one.hash, at_once.hash);
        prop_assert_eq!(one_by_one.machine.applied(), at_once.machine.applied());
    }

    /// Property: a replica that takes over a snapshot anywhere and goes on from there has the same
    /// answers, effects and state as one that applied everything.
    #[test]
    fn snapshots_do_not_matter(log in either_log(), cut in any::<Index>()) {
        let whole = run(&log, &[5]);
        let (before, after) = log.entries.split_at(cut.index(log.entries.len()));
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from.db"), directory.path().join("to.db"));
        let mut source = Machine::open(&from).unwrap();
        source.apply(before).unwrap();
        let made = snapshot::make(&from, directory.path()).unwrap();
        let verified = snapshot::verify(made.path(), made.manifest()).unwrap();
        snapshot::install(verified, &to).unwrap();
        let mut machine = Machine::open(&to).unwrap();
        prop_assert_eq!(machine.state_hash().unwrap(), source.state_hash().unwrap());
        let applied = machine.apply(after).unwrap();
        prop_assert_eq!(&applied[..], &whole.applied[before.len()..]);
        prop_assert_eq!(machine.state_hash().unwrap(), whole.hash);
        prop_assert_eq!(machine.applied(), whole.machine.applied());
    }

    /// Property: how commands are put into slots changes no answer and no effect, but for the
    /// slot and its time.
    #[test]
    fn slots_do_not_matter(log in any_log()) {
        let batches = commands(&log);
        let single = Log::of(batches.concat().into_iter().map(|command| vec![command]).collect());
        let (a, b) = (run(&Log::of(batches), &[5]), run(&single, &[5]));
        let effects = |run: &Run| -> Vec<Effect> {
            run.applied.iter().flat_map(|entry| entry.effects.iter().map(slotless)).collect()
        };
        let answers = |run: &Run| -> Vec<_> {
            run.applied
                .iter()
                .flat_map(|entry| entry.outcomes.clone())
                .map(|mut outcome| {
                    if let Some(outcome::Result::MessagePosted(posted)) = &mut outcome.result {
                        posted.timestamp_ms = 0;
                    }
                    (outcome.cid, outcome.author, outcome.duplicate, outcome.result)
                })
                .collect()
        };
        prop_assert_eq!(effects(&a), effects(&b));
        prop_assert_eq!(answers(&a), answers(&b));
    }

    /// Property: every answer is the one of a naive model, repetitions included.
    #[test]
    fn answers_are_the_models(log in either_log()) {
        let mut model = Model::default();
        let applied = run(&log, &[4]).applied;
        let batches = applied.iter().filter(|entry| !entry.outcomes.is_empty());
        let inputs = commands(&log).into_iter().filter(|commands| !commands.is_empty());
        for (entry, commands) in batches.zip(inputs) {
            prop_assert_eq!(entry.outcomes.len(), commands.len());
            for (index, command) in commands.iter().enumerate() {
                let outcome = &entry.outcomes[index];
                let place = place(entry.slot, index);
                let (expected, duplicate) = model.apply(command, entry.timestamp.0, place);
                let found = match outcome.result.clone().unwrap() {
                    outcome::Result::Refusal(refusal) => Err(refusal.code()),
                    answer => Ok(answer),
                };
                prop_assert_eq!(&found, &expected, "{:?}", command);
                prop_assert_eq!(outcome.duplicate, duplicate);
                prop_assert_eq!(&outcome.cid[..], &command.cid[..]);
                prop_assert_eq!(outcome.author, command.author);
            }
        }
    }

    /// Property (claim C2): commands that are sent again, anywhere later and however often, have
    /// no effect and answer what they did first.
    #[test]
    fn repetitions_have_no_effect(log in any_log(), again in vec(any::<(Index, Index)>(), 1..30)) {
        let mut batches = commands(&log);
        let once = run(&Log::of(batches.clone()), &[3]);
        for (from, to) in again {
            let (from, to) = (from.index(batches.len()), to.index(batches.len()));
            let (from, to) = (from.min(to), from.max(to));
            let repeated = batches[from].clone();
            batches[to].extend(repeated);
        }
        let twice = run(&Log::of(batches), &[3]);
        let effects = |run: &Run| -> Vec<Effect> {
            run.applied.iter().flat_map(|entry| entry.effects.iter().map(slotless)).collect()
        };
        prop_assert_eq!(effects(&once), effects(&twice));

        let mut first = BTreeMap::new();
        for outcome in twice.applied.iter().flat_map(|entry| &entry.outcomes) {
            if outcome.cid.len() != 16 {
                continue;
            }
            let key = (outcome.author, outcome.cid.clone());
            let answer = (outcome.slot, outcome.result.clone());
            prop_assert_eq!(outcome.duplicate, first.contains_key(&key));
            prop_assert_eq!(first.entry(key).or_insert_with(|| answer.clone()), &answer);
        }
    }

    /// Property (claim C1): per room `seq` and `msg_no`, and per person `useq`, are 1, 2, 3 …
    #[test]
    fn numbers_have_no_hole(log in either_log()) {
        let run = run(&log, &[2]);
        let (mut seqs, mut msg_nos) = (BTreeMap::new(), BTreeMap::new());
        let mut useqs = BTreeMap::new();
        for entry in &run.applied {
            for event in room_effects(&entry.effects) {
                let seq = seqs.entry(event.room).or_insert(0);
                *seq += 1;
                prop_assert_eq!(event.seq, *seq);
                prop_assert_eq!(event.slot, entry.slot.0);
                if let Some(room_event::Kind::Message(message)) = &event.kind {
                    let msg_no = msg_nos.entry(event.room).or_insert(0);
                    *msg_no += 1;
                    prop_assert_eq!(message.msg_no, *msg_no);
                }
            }
            for event in user_effects(&entry.effects) {
                let useq = useqs.entry(event.user).or_insert(0);
                *useq += 1;
                prop_assert_eq!(event.useq, *useq);
            }
        }
        let mut reader = run.machine.reader().unwrap();
        for (user, useq) in useqs {
            let state = reader.user_state(UserId(user)).unwrap().value.unwrap();
            prop_assert_eq!(state.useq, useq);
            for room in state.rooms {
                let head = seqs.get(&room.room).copied();
                // That of the cluster is there before its first line.
                prop_assert_eq!(Some(room.head), head.or_else(|| room.system.then_some(0)));
                let asker = Asker::User(UserId(user));
                let members = reader.members(asker, RoomId(room.room)).unwrap().value.unwrap();
                prop_assert_eq!(room.members, members.len() as u64);
                prop_assert!(members.iter().any(|member| member.user == user));
            }
        }
    }

    /// Property: what is read back for a gateway equals what was emitted, in any paging and from
    /// any slot.
    #[test]
    fn replay_equals_emission(log in any_log(), page in 1..12_usize, from in any::<Index>()) {
        let run = run(&log, &[6]);
        let mut reader = run.machine.reader().unwrap();
        let last = run.machine.applied().slot;
        let start = Slot(Slot::GENESIS.0 + from.index(run.applied.len()) as u64);
        let mut replayed = Vec::new();
        let mut after = start;
        while after < last {
            let view = reader.effects_between(after, Slot(u64::MAX), page).unwrap();
            prop_assert_eq!(view.applied, last);
            prop_assert!(view.value.upto > after, "every page advances");
            let whole = view.value.slots.split_last().map_or(0, |(_, full)| {
                full.iter().map(|(_, effects)| effects.len()).sum::<usize>()
            });
            prop_assert!(whole < page, "at most one slot beyond the limit");
            replayed.extend(view.value.slots);
            after = view.value.upto;
        }
        let effects = |slots: &[(Slot, Vec<Effect>)]| -> Vec<(Slot, Effect)> {
            let each = |(slot, effects): &(Slot, Vec<Effect>)| {
                effects.iter().map(|effect| (*slot, effect.clone())).collect::<Vec<_>>()
            };
            slots.iter().flat_map(each).collect()
        };
        let all: Vec<(Slot, Vec<Effect>)> = run
            .applied
            .iter()
            .map(|entry| (entry.slot, entry.effects.clone()))
            .collect();
        let (slots, mut emitted): (Vec<Slot>, Vec<Effect>) = effects(&all).into_iter().unzip();
        as_read_later(&mut emitted);
        let emitted: Vec<(Slot, Effect)> = slots.into_iter().zip(emitted).filter(|(slot, _)| *slot > start).collect();
        let (slots, mut replayed): (Vec<Slot>, Vec<Effect>) = effects(&replayed).into_iter().unzip();
        as_read_later(&mut replayed);
        let replayed: Vec<(Slot, Effect)> = slots.into_iter().zip(replayed).collect();
        prop_assert_eq!(replayed, emitted);
    }

    /// Property (claim C3): pages of history, put together in either direction, are all events
    /// of the room in order.
    #[test]
    fn pages_make_up_the_history(log in any_log(), limit in 1..7_usize) {
        let run = run(&log, &[7]);
        let mut rooms: BTreeMap<u64, Vec<RoomEvent>> = BTreeMap::new();
        let mut effects: Vec<Effect> =
            run.applied.iter().flat_map(|entry| entry.effects.clone()).collect();
        as_read_later(&mut effects);
        for event in room_effects(&effects) {
            rooms.entry(event.room).or_default().push(event.clone());
        }
        let mut reader = run.machine.reader().unwrap();
        for (room, events) in rooms {
            let mut page = |range| {
                let view = reader.history(Asker::Gateway, RoomId(room), range, limit).unwrap();
                let history = view.value.unwrap();
                assert_eq!(history.head, Seq(events.len() as u64));
                assert!(history.events.len() <= limit);
                let as_written = |event: &RoomEvent| as_written(event, &events);
                history.events.iter().map(as_written).collect::<Vec<_>>()
            };
            let mut forward: Vec<RoomEvent> = Vec::new();
            while forward.len() < events.len() {
                forward.extend(page(HistoryRange::After(Seq(forward.len() as u64))));
            }
            prop_assert_eq!(&forward, &events);
            prop_assert_eq!(page(HistoryRange::After(Seq(events.len() as u64))), vec![]);

            let mut backward = page(HistoryRange::Newest);
            while backward[0].seq > 1 {
                let older = page(HistoryRange::Before(Seq(backward[0].seq)));
                backward.splice(0..0, older);
            }
            prop_assert_eq!(&backward, &events);
            prop_assert_eq!(page(HistoryRange::Before(Seq(1))), vec![]);
        }
    }

    /// Property (claim C5): what a replica says is unread is what a model finds that recomputes it
    /// from nothing, for every person and room, with edits, deletions and markers in between; and
    /// each message of history is what all its changes make of it.
    #[test]
    fn unread_and_messages_are_the_models(log in either_log()) {
        let mut model = Model::default();
        let run = run(&log, &[4]);
        let batches = run.applied.iter().filter(|entry| !entry.outcomes.is_empty());
        let inputs = commands(&log).into_iter().filter(|commands| !commands.is_empty());
        for (entry, commands) in batches.zip(inputs) {
            for (index, command) in commands.iter().enumerate() {
                let _ = model.apply(command, entry.timestamp.0, place(entry.slot, index));
            }
        }
        let mut reader = run.machine.reader().unwrap();
        let people = (1..).take_while(|user| {
            run.machine.reader().unwrap().user_state(UserId(*user)).unwrap().value.is_some()
        });
        for user in people.collect::<Vec<u64>>() {
            let state = reader.user_state(UserId(user)).unwrap().value.unwrap();
            for room in state.rooms.iter().filter(|room| !room.system) {
                let found = (room.read_seq, room.unread, room.mentions);
                prop_assert_eq!(found, model.unread(user, room.room), "{} {:?}", user, room);
                prop_assert!(!room.unread_more);
            }
        }
        for room in reader.rooms(UserId(1)).unwrap().value {
            let view = reader.history(Asker::Gateway, RoomId(room.room), HistoryRange::Newest, 500);
            for event in view.unwrap().value.unwrap().events {
                let Some(room_event::Kind::Message(message)) = event.kind else { continue };
                let post = &model.posts(room.room)[&event.seq];
                let state = message.state.unwrap_or_default();
                prop_assert_eq!(message.deleted, post.deleted);
                let text = post.texts.last().cloned().unwrap_or_default();
                prop_assert_eq!(message.body, text);
                prop_assert_eq!(state.pinned_seq > 0, post.pinned);
                prop_assert_eq!(state.replies, post.replies);
                let mut found = Vec::new();
                for reaction in state.reactions {
                    found.extend(reaction.people.iter().map(|person| (reaction.emoji.clone(), person.user)));
                }
                let mut expected = post.reactions.clone();
                found.sort();
                expected.sort();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
