//! Is each change that was answered an event of its room, once, and is each message shown with the
//! text that its last change gave it?

use std::collections::{BTreeMap, HashMap};

use crate::changes::{Change, DELETED, Form, Version};
use crate::event::ChangeRow;
use crate::facts::{Facts, Seen};
use crate::violation::{Findings, Kind};

pub(crate) fn judge(facts: &mut Facts) {
    let mut findings = std::mem::take(&mut facts.findings);
    let events = events(facts);
    let places = places(facts, &events, &mut findings);
    let mut done = 0;
    for (index, change) in facts.changes.asked.iter().enumerate() {
        done += u64::from(change.done.is_some());
        answered(change, places.get(&index), &mut findings);
    }
    in_order(facts, &places, &mut findings);
    forms(facts, &events, &mut findings);
    facts.figures.changed = done;
    facts.findings = findings;
}

/// The changes of each message, by room and `seq` of the message, in the order of the room.
type Events<'a> = HashMap<(u64, u64), BTreeMap<u64, (&'a Seen, ChangeRow)>>;

fn events(facts: &Facts) -> Events<'_> {
    let mut events = Events::new();
    for (&room, rows) in &facts.rooms {
        for seen in rows.values() {
            if let Some(change) = seen.row.change {
                let of = events.entry((room, change.of)).or_default();
                of.insert(seen.row.seq, (seen, change));
            }
        }
    }
    events
}

/// Which event each change became, by its index. A second event, and one that nobody asked for,
/// is a violation.
fn places<'a>(
    facts: &Facts,
    events: &Events<'a>,
    findings: &mut Findings,
) -> HashMap<usize, &'a Seen> {
    let mut by_target: HashMap<(u64, u64), Vec<usize>> = HashMap::new();
    for (index, change) in facts.changes.asked.iter().enumerate() {
        let of = by_target.entry((change.room, change.of)).or_default();
        of.push(index);
    }
    let mut places = HashMap::new();
    for (&(room, of), those) in events {
        let asked = by_target.get(&(room, of)).map_or(&[][..], Vec::as_slice);
        for (&seq, (seen, event)) in those {
            let text = facts.changes.forms.get(&(room, of, seq));
            let is_it = |index: &&usize| {
                let change = facts.changes.asked.get(**index);
                change.is_some_and(|change| fits(change, seen, *event, text))
            };
            let Some(index) = asked.iter().find(is_it) else {
                // A text that nobody saw before it was deleted is matched by its slot, which only
                // an answer tells.
                let is_seen = event.deletes || text.is_some();
                if facts.is_written(room) && (is_seen || asked.is_empty()) {
                    findings.add(Kind::Phantom, || {
                        format!(
                            "room {room} seq {seq}: account {} never asked for {event:?}",
                            seen.row.author
                        )
                    });
                }
                continue;
            };
            if let Some(other) = places.insert(*index, *seen) {
                findings.add(Kind::Duplicated, || {
                    format!(
                        "room {room}: one change of seq {of} is seq {seq} and seq {}",
                        other.row.seq
                    )
                });
            }
        }
    }
    places
}

fn fits(change: &Change, seen: &Seen, event: ChangeRow, text: Option<&Form>) -> bool {
    if change.author != seen.row.author || change.body.is_none() != event.deletes {
        return false;
    }
    match (change.body, text) {
        (Some(wanted), Some(form)) => form.body == wanted,
        (Some(_), None) => change.done.is_some_and(|(_, slot)| slot == seen.row.slot),
        (None, _) => true,
    }
}

fn answered(change: &Change, place: Option<&&Seen>, findings: &mut Findings) {
    let (cid, room, of) = (change.cid, change.room, change.of);
    match (change.done, place) {
        (Some((at, slot)), None) => findings.add(Kind::Lost, || {
            format!(
                "{cid}, a change of seq {of} in room {room}, is answered in slot {slot} at {at} us; \
                 there is no such event"
            )
        }),
        (Some((_, slot)), Some(seen)) if seen.row.slot != slot => findings.add(Kind::Moved, || {
            format!(
                "{cid}, a change of seq {of} in room {room}, is answered in slot {slot} and shown as \
                 {:?}",
                seen.row
            )
        }),
        _ => {}
    }
    let Some(seen) = place else { return };
    if seen.at < change.asked_at {
        findings.add(Kind::Phantom, || {
            format!(
                "{cid}, a change of seq {of} in room {room}, was shown at {} us and asked for at {} \
                 us",
                seen.at, change.asked_at
            )
        });
    }
    if let Some(refused) = change.refused_at {
        findings.add(Kind::Phantom, || {
            format!(
                "{cid}, a change of seq {of} in room {room}, was refused for good at {refused} us \
                 and is seq {}",
                seen.row.seq
            )
        });
    }
}

/// A client has one change at a time: they take effect in its order.
fn in_order(facts: &Facts, places: &HashMap<usize, &Seen>, findings: &mut Findings) {
    let mut last: HashMap<u64, (u64, u64)> = HashMap::new();
    for (index, change) in facts.changes.asked.iter().enumerate() {
        // One without an answer may come later than the next one.
        let (Some(seen), Some(_)) = (places.get(&index), change.done) else {
            continue;
        };
        let before = last.insert(change.author, (change.asked_at, seen.row.slot));
        if let Some((asked, slot)) =
            before.filter(|(asked, slot)| *asked <= change.asked_at && *slot > seen.row.slot)
        {
            findings.add(Kind::Reordered, || {
                format!(
                    "account {} asked at {asked} us for what is in slot {slot}, then for {} in slot \
                     {}",
                    change.author, change.cid, seen.row.slot
                )
            });
        }
    }
}

/// A message is shown with a text that it once had, and not with one that it no longer had.
fn forms(facts: &Facts, events: &Events<'_>, findings: &mut Findings) {
    for (&(room, seq, version), form) in &facts.changes.forms {
        let of = events.get(&(room, seq));
        if let Some(words) = made_up(version, of).filter(|_| facts.is_whole(room)) {
            findings.add(Kind::Phantom, || {
                let client = facts.client(form.by);
                format!(
                    "room {room} seq {seq}: shown to {client} at {} us {words}",
                    form.at
                )
            });
        }
        let later = of.and_then(|of| {
            let mut later = of.range(version.saturating_add(1)..);
            later.find(|(change, _)| **change <= form.head && version != DELETED)
        });
        if let Some((change, _)) = later {
            findings.add(Kind::WentBack, || {
                let client = facts.client(form.by);
                format!(
                    "room {room} seq {seq}: a page with the head {} has its text of {version}, \
                     seq {change} had changed it; the text was first shown to {client}",
                    form.head
                )
            });
        }
    }
}

/// Why a message cannot have been shown in this form.
fn made_up(
    version: Version,
    of: Option<&BTreeMap<u64, (&Seen, ChangeRow)>>,
) -> Option<&'static str> {
    let mut changes = of.into_iter().flat_map(BTreeMap::iter);
    match version {
        0 => None,
        DELETED => {
            let deleted = changes.any(|(_, (_, change))| change.deletes);
            (!deleted).then_some("as deleted, which nobody did")
        }
        _ => {
            let edited = changes.any(|(seq, (_, change))| *seq == version && !change.deletes);
            (!edited).then_some("with the text of an edit that there is not")
        }
    }
}
