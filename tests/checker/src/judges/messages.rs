//! Is each acknowledged message in its room, once, and was each message shown there sent so
//! (C2, C4)?

use std::collections::HashMap;

use crate::event::Row;
use crate::facts::{Ack, Facts, Message, Seen, WholeRead};
use crate::violation::{Findings, Kind};

pub(crate) fn judge(facts: &mut Facts) {
    let mut findings = std::mem::take(&mut facts.findings);
    let places = places(facts, &mut findings);
    count(facts, &places);
    let mut whole: HashMap<u64, Vec<&WholeRead>> = HashMap::new();
    for read in &facts.whole_reads {
        whole.entry(read.room).or_default().push(read);
    }
    if facts.messages.is_empty() {
        findings.add(Kind::Incomplete, || "nobody sent a message".to_owned());
    }
    for (index, message) in facts.messages.iter().enumerate() {
        let Some(ack) = message.ack else { continue };
        let there = facts
            .rooms
            .get(&message.room)
            .and_then(|rows| rows.get(&ack.seq));
        let elsewhere = places.get(&index);
        acknowledged(message, &ack, there, elsewhere, &mut findings);
        let reads = whole.get(&message.room).map_or(&[][..], Vec::as_slice);
        if reads.is_empty() {
            findings.add(Kind::Incomplete, || {
                format!("room {} was read as a whole from no gateway", message.room)
            });
        }
        for read in reads {
            if ack.seq > read.head && ack.at <= read.began_at {
                findings.add(Kind::Lost, || {
                    format!(
                        "{} was acknowledged as seq {} of room {} at {} us; {} ends it at {} at {} us",
                        message.cid, ack.seq, message.room, ack.at, read.gateway, read.head,
                        read.began_at
                    )
                });
            }
        }
    }
    facts.findings = findings;
}

/// Where each message was shown first; a second place is a violation, and so is a message that
/// nobody sent.
fn places(facts: &Facts, findings: &mut Findings) -> HashMap<usize, (u64, Row)> {
    let mut places: HashMap<usize, (u64, Row)> = HashMap::new();
    for (&room, rows) in &facts.rooms {
        let judged = facts.is_written(room);
        for seen in rows.values() {
            let Some(shown) = seen.row.message else {
                continue;
            };
            let Some(&index) = facts.by_cid.get(&(seen.row.author, shown.cid)) else {
                if judged {
                    findings.add(Kind::Phantom, || {
                        format!(
                            "room {room} seq {}: {} of account {} was never sent; shown to {} at \
                             {} us",
                            seen.row.seq,
                            shown.cid,
                            seen.row.author,
                            facts.client(seen.by),
                            seen.at
                        )
                    });
                }
                continue;
            };
            if let Some((other, row)) = places.insert(index, (room, seen.row)) {
                findings.add(Kind::Duplicated, || {
                    format!(
                        "{} is seq {} of room {room} and seq {} of room {other}",
                        shown.cid, seen.row.seq, row.seq
                    )
                });
            }
            if let Some(message) = facts.messages.get(index) {
                let text = facts.changes.original(room, seen.row.seq);
                let text = text.map(|form| form.body);
                shown_as_sent(message, room, seen, text, findings);
            }
        }
    }
    places
}

/// `text`: the first one, if anybody was shown it.
fn shown_as_sent(
    message: &Message,
    room: u64,
    seen: &Seen,
    text: Option<u64>,
    findings: &mut Findings,
) {
    let wrong = if message.room != room {
        format!("was sent to room {}", message.room)
    } else if text.is_some_and(|text| message.body != text) {
        "was sent with another text".to_owned()
    } else if seen.at < message.sent_at {
        format!(
            "was shown at {} us, sent at {} us",
            seen.at, message.sent_at
        )
    } else if let Some(refused) = message.refused_at {
        format!("was refused for good at {refused} us")
    } else {
        return;
    };
    findings.add(Kind::Phantom, || {
        format!("room {room} seq {}: {} {wrong}", seen.row.seq, message.cid)
    });
}

/// An acknowledged message must be where its acknowledgement says.
fn acknowledged(
    message: &Message,
    ack: &Ack,
    there: Option<&Seen>,
    elsewhere: Option<&(u64, Row)>,
    findings: &mut Findings,
) {
    let (room, cid) = (message.room, message.cid);
    let is_it = |row: &Row| {
        row.author == message.author && row.message.is_some_and(|shown| shown.cid == cid)
    };
    match there {
        Some(seen) if is_it(&seen.row) => {
            let msg_no = seen.row.message.map(|shown| shown.msg_no);
            if (seen.row.slot, msg_no) != (ack.slot, Some(ack.msg_no)) {
                findings.add(Kind::Moved, || {
                    format!("{cid} is acknowledged as {ack:?}, shown as {:?}", seen.row)
                });
            }
        }
        _ if elsewhere.is_some() => findings.add(Kind::Moved, || {
            format!("{cid} is acknowledged as {ack:?} in room {room}, shown as {elsewhere:?}")
        }),
        Some(seen) => findings.add(Kind::Lost, || {
            format!(
                "{cid} is acknowledged as {ack:?} in room {room}, where {:?} is",
                seen.row
            )
        }),
        None => findings.add(Kind::Lost, || {
            format!("{cid} is acknowledged as {ack:?} in room {room}, where nothing is")
        }),
    }
}

fn count(facts: &mut Facts, places: &HashMap<usize, (u64, Row)>) {
    let figures = &mut facts.figures;
    for (index, message) in facts.messages.iter().enumerate() {
        match (&message.ack, message.refused_at) {
            (Some(ack), _) => {
                figures.acknowledged += 1;
                let wait = ack.at.saturating_sub(message.sent_at);
                if wait > figures.longest_wait_us {
                    figures.longest_wait_us = wait;
                    figures.longest_wait_from_us = message.sent_at;
                }
            }
            (None, Some(_)) => figures.refused += 1,
            (None, None) => {
                figures.unknown += 1;
                figures.unknown_but_there += u64::from(places.contains_key(&index));
            }
        }
    }
}
