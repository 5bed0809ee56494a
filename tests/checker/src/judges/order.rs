//! Does the log have the order that people experienced?
//!
//! - Real time: what was acknowledged to somebody, or shown to somebody, before a message was
//!   sent has the lower slot. Over all rooms, and for changes of messages: the log is one.
//! - Per author and room: messages stand in the order in which they were sent, acknowledged or
//!   not.

use std::collections::HashMap;

use uuid::Uuid;

use crate::facts::{Facts, Message};
use crate::violation::{Findings, Kind};

pub(crate) fn judge(facts: &mut Facts) {
    let mut findings = std::mem::take(&mut facts.findings);
    let shown = shown(facts);
    real_time(facts, &shown, &mut findings);
    per_author(facts, &shown, &mut findings);
    facts.findings = findings;
}

/// Where and when each message was first shown, by its index.
#[derive(Clone, Copy)]
struct Place {
    seq: u64,
    slot: u64,
    at: u64,
}

fn shown(facts: &Facts) -> HashMap<usize, Place> {
    let mut places = HashMap::new();
    for seen in facts.rooms.values().flat_map(HashMap::values) {
        let key = seen.row.message.map(|shown| (seen.row.author, shown.cid));
        if let Some(&index) = key.and_then(|key| facts.by_cid.get(&key)) {
            places.insert(
                index,
                Place {
                    seq: seen.row.seq,
                    slot: seen.row.slot,
                    at: seen.at,
                },
            );
        }
    }
    places
}

/// What was acknowledged counts as told; else what was shown.
fn place(index: usize, message: &Message, shown: &HashMap<usize, Place>) -> Option<Place> {
    let shown = shown.get(&index).copied();
    message.ack.map_or(shown, |ack| {
        let at = shown.map_or(ack.at, |shown| shown.at.min(ack.at));
        Some(Place {
            seq: ack.seq,
            slot: ack.slot,
            at,
        })
    })
}

fn real_time(facts: &Facts, shown: &HashMap<usize, Place>, findings: &mut Findings) {
    let mut sent: Vec<(u64, Uuid, u64)> = Vec::new();
    let mut known: Vec<(u64, Uuid, u64)> = Vec::new();
    for (index, message) in facts.messages.iter().enumerate() {
        let Some(place) = place(index, message, shown) else {
            continue;
        };
        sent.push((message.sent_at, message.cid, place.slot));
        known.push((place.at, message.cid, place.slot));
    }
    for change in &facts.changes.asked {
        if let Some((at, slot)) = change.done {
            sent.push((change.asked_at, change.cid, slot));
            known.push((at, change.cid, slot));
        }
    }
    sent.sort_unstable();
    known.sort_unstable();
    let mut known = known.into_iter().peekable();
    let mut highest: Option<(u64, Uuid, u64)> = None;
    for (sent_at, cid, slot) in sent {
        while let Some(next) = known.next_if(|(at, _, _)| *at < sent_at) {
            if highest.is_none_or(|(_, _, slot)| slot < next.2) {
                highest = Some(next);
            }
        }
        let Some((at, earlier, above)) = highest.filter(|highest| highest.2 >= slot) else {
            continue;
        };
        findings.add(Kind::RealTime, || {
            format!(
                "{earlier} in slot {above} was known at {at} us; {cid}, sent at {sent_at} us, is in \
                 slot {slot}"
            )
        });
    }
}

/// As acknowledged and as shown: where the two differ, each has an order of its own.
fn per_author(facts: &Facts, shown: &HashMap<usize, Place>, findings: &mut Findings) {
    let acked = |index: usize| Some(facts.messages.get(index)?.ack?.seq);
    rising(facts, acked, "acknowledged", findings);
    let shown = |index: usize| shown.get(&index).map(|place| place.seq);
    rising(facts, shown, "shown", findings);
}

fn rising(facts: &Facts, seq: impl Fn(usize) -> Option<u64>, how: &str, findings: &mut Findings) {
    // Messages stand in the order of the histories; several histories of one author are several
    // devices, which share no order but that of real time.
    let mut last: HashMap<(u64, u64), (usize, u64, u64)> = HashMap::new();
    for (index, message) in facts.messages.iter().enumerate() {
        let Some(here) = seq(index) else { continue };
        let key = (message.author, message.room);
        let before = last.insert(key, (index, message.sent_at, here));
        let Some((before, _, there)) =
            before.filter(|(_, sent_at, seq)| *seq >= here && *sent_at <= message.sent_at)
        else {
            continue;
        };
        findings.add(Kind::Reordered, || {
            format!(
                "room {}: account {} sent {:?} before {}, but they are {how} as seq {there} and \
                 {here}",
                message.room,
                message.author,
                facts.messages.get(before).map(|message| message.cid),
                message.cid,
            )
        });
    }
}
