//! Do the logs of all nodes agree, is each message where the log has it, and is what was
//! acknowledged held by a majority?

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use crate::facts::{Facts, Message, Seen};
use crate::log::{LogRow, NodeLog};
use crate::violation::{Findings, Kind};

pub(crate) fn judge(facts: &mut Facts) {
    let mut findings = std::mem::take(&mut facts.findings);
    let logs = std::mem::take(&mut facts.logs);
    if logs.is_empty() {
        findings.add(Kind::Incomplete, || "there is no log".to_owned());
    } else {
        facts.figures.rows = logs.iter().map(|log| log.rows.len() as u64).sum();
        let merged = merge(&logs, &mut findings);
        let first = first_places(&merged);
        facts.figures.located = locate(facts, &merged, &first, &mut findings);
        majority(facts, &logs, &mut findings);
    }
    facts.logs = logs;
    facts.findings = findings;
}

/// One log from what overlaps of all; where they differ is a violation, the first of each pair.
fn merge<'a>(logs: &'a [NodeLog], findings: &mut Findings) -> BTreeMap<u64, (u64, &'a LogRow)> {
    let mut merged: BTreeMap<u64, (u64, &LogRow)> = BTreeMap::new();
    for log in logs {
        let mut differs = false;
        for row in &log.rows {
            let (node, other) = merged.entry(row.slot).or_insert((log.node, row));
            if !differs && (&other.chain, &other.commands) != (&row.chain, &row.commands) {
                differs = true;
                findings.add(Kind::Diverged, || {
                    format!(
                        "the log of r{node} has {other:?}, that of r{} {row:?}",
                        log.node
                    )
                });
            }
        }
    }
    merged
}

/// Where each command stands first, and so takes effect: slot and place in the slot.
type Places = HashMap<(u64, Uuid), (u64, usize)>;

fn first_places(merged: &BTreeMap<u64, (u64, &LogRow)>) -> Places {
    let mut places = Places::new();
    for (slot, (_, row)) in merged {
        for (index, command) in row.commands.iter().enumerate() {
            let key = (command.author, command.cid);
            places.entry(key).or_insert((*slot, index));
        }
    }
    places
}

/// Compares what clients were told with where the log has it; returns how many were found.
fn locate(
    facts: &Facts,
    merged: &BTreeMap<u64, (u64, &LogRow)>,
    first: &Places,
    findings: &mut Findings,
) -> u64 {
    let from = merged.keys().next().copied().unwrap_or(u64::MAX);
    let upto = merged.keys().next_back().copied().unwrap_or(0);
    let mut located = 0;
    let messages = facts.messages.iter().filter_map(|message| {
        let ack = message.ack?;
        Some((message.author, message.cid, ack.slot))
    });
    let changes = facts.changes.asked.iter().filter_map(|change| {
        let (_, slot) = change.done?;
        Some((change.author, change.cid, slot))
    });
    for (author, cid, told) in messages.chain(changes).filter(|(.., slot)| *slot >= from) {
        match first.get(&(author, cid)) {
            Some((slot, _)) if *slot == told => located += 1,
            Some((slot, _)) => findings.add(Kind::Reordered, || {
                format!("{cid} is acknowledged in slot {told}, the log has it first in slot {slot}")
            }),
            None => findings.add(Kind::Lost, || {
                format!(
                    "{cid} is acknowledged in slot {told}, no log has it; the logs end at {upto}"
                )
            }),
        }
    }
    for (room, rows) in &facts.rooms {
        let mut rows: Vec<&Seen> = rows.values().filter(|seen| seen.row.slot >= from).collect();
        rows.sort_unstable_by_key(|seen| seen.row.seq);
        in_order(*room, &rows, first, findings);
    }
    located
}

/// The messages of a room stand in the log in the order of their `seq`.
fn in_order(room: u64, rows: &[&Seen], first: &Places, findings: &mut Findings) {
    let mut last: Option<(u64, (u64, usize))> = None;
    for seen in rows {
        let Some(message) = seen.row.message else {
            continue;
        };
        let Some(place) = first.get(&(seen.row.author, message.cid)).copied() else {
            findings.add(Kind::Phantom, || {
                format!(
                    "room {room} seq {}: {} of account {} is shown in slot {}, no log has it",
                    seen.row.seq, message.cid, seen.row.author, seen.row.slot
                )
            });
            continue;
        };
        if let Some((seq, before)) = last.filter(|(_, before)| *before >= place) {
            findings.add(Kind::Reordered, || {
                format!(
                    "room {room}: seq {seq} stands in the log at {before:?}, seq {} at {place:?}",
                    seen.row.seq
                )
            });
        }
        if place.0 != seen.row.slot {
            findings.add(Kind::Reordered, || {
                format!(
                    "room {room} seq {}: shown in slot {}, the log has it first in slot {}",
                    seen.row.seq, seen.row.slot, place.0
                )
            });
        }
        last = Some((seen.row.seq, place));
    }
}

/// What was acknowledged is held by more than half of the voters of the newest epoch. (Rows that
/// a node has compacted are part of its state.)
fn majority(facts: &Facts, logs: &[NodeLog], findings: &mut Findings) {
    let Some(newest) = logs.iter().max_by_key(|log| log.epoch) else {
        return;
    };
    let needed = newest.voters.len() / 2 + 1;
    let voters = logs.iter().filter(|log| newest.voters.contains(&log.node));
    let mut ends: Vec<u64> = voters.map(|log| log.decided).collect();
    ends.sort_unstable_by(|a, b| b.cmp(a));
    let held_upto = ends.get(needed - 1).copied().unwrap_or(0);
    let beyond = |message: &&Message| message.ack.is_some_and(|ack| ack.slot > held_upto);
    for message in facts.messages.iter().filter(beyond) {
        findings.add(Kind::WithoutQuorum, || {
            format!(
                "{} is acknowledged as {:?}; {needed} of the voters {:?} hold the log up to \
                 {held_upto} only",
                message.cid, message.ack, newest.voters
            )
        });
    }
}
