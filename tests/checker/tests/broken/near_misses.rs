//! What looks like a violation and is none.

use checker::synthetic::History;
use checker::{Event, Line, MessageRow, Row};
use uuid::Uuid;

use crate::correct;
use crate::edit::{
    acked, answered, edited_and_deleted, event, find_any, has_unread, insert_after, rows,
};

/// Whoever is told of a violation that is none looks for it for a day.
#[test]
fn what_is_allowed_is_not_found() {
    let cases: &[(&str, fn(&mut History))] = &[
        (
            "the same acknowledgement twice, the second time as a repetition",
            |h| {
                let of = acked(h)[5];
                let mut again = event(h, of.client, of.line).clone();
                if let Event::Acked { dup, .. } = &mut again {
                    *dup = true;
                }
                insert_after(h, of.client, of.line, again);
            },
        ),
        ("a message without an answer that is there", |h| {
            let of = acked(h)[5];
            h.clients[of.client].1.remove(of.line);
        }),
        ("a change without an answer that is there", |h| {
            let (client, line) = answered(h);
            h.clients[client].1.remove(line);
        }),
        (
            "an edit whose text was taken away before it was shown",
            |h| {
                let (room, of) = edited_and_deleted(h);
                rows(h, |number, row| {
                    if let Some(change) =
                        row.change.as_mut().filter(|c| number == room && c.of == of)
                    {
                        change.body = None;
                    }
                    true
                });
            },
        ),
        ("more unread messages than were counted", |h| {
            let (client, line) = find_any(h, has_unread);
            if let Event::Connected { markers, .. } = event(h, client, line) {
                for marker in markers.values_mut().filter(|marker| marker.unread > 0) {
                    (marker.unread, marker.more) = (marker.unread - 1, true);
                }
            }
        }),
        ("refused for now, then acknowledged", |h| {
            let of = acked(h)[5];
            let (cid, code, temporary) = (of.cid, "overloaded".to_owned(), true);
            let refused = Event::Refused {
                cid,
                code,
                temporary,
            };
            insert_after(h, of.client, of.line - 1, refused);
        }),
        ("acknowledged right after an outage", |h| {
            let of = acked(h)[5];
            let mut outage = h.outages[0].clone();
            (outage.from_us, outage.to_us) = (0, of.at - 1);
            h.outages = vec![outage];
            for (_, lines) in &mut h.clients {
                let is_answer = |e: &Event| matches!(e, Event::Acked { .. } | Event::Did { .. });
                lines.retain(|Line(at, e)| *at >= of.at || !is_answer(e));
            }
        }),
        ("sent before an outage, acknowledged within it", |h| {
            let of = acked(h)[5];
            let mut outage = h.outages[0].clone();
            (outage.from_us, outage.to_us) = (of.at - 1, of.at + 1);
            outage.from_us = outage.to_us - 1;
            h.outages = vec![outage];
        }),
        ("a node is behind, a majority is not", |h| {
            let log = &mut h.logs[2];
            log.decided -= 30;
            log.rows.truncate(log.rows.len() - 30);
        }),
        ("a node has compacted nearly everything", |h| {
            let log = &mut h.logs[1];
            log.rows.drain(..log.rows.len() - 3);
            log.compacted_to = log.decided - 3;
        }),
        ("a node that does not vote stands elsewhere", |h| {
            let mut state = h.states[0].clone();
            (state.node, state.slot, state.hash) = (9, 1030, "other".to_owned());
            h.states.push(state);
        }),
        ("other ballots", |h| {
            h.logs[1].rows[9].ballot = "1.7@r2".to_owned();
        }),
        ("a question without an answer", |h| {
            let client = 0;
            let page = |e: &Event| matches!(e, Event::Page { .. });
            let line = crate::edit::find(h, client, page).expect("a page");
            h.clients[client].1.remove(line);
        }),
        ("a line of a kind to come", |h| {
            let end = h.clients[0].1.last().expect("lines").0;
            h.clients[0].1.push(Line(end, Event::Other));
        }),
        ("a replay after a slow connection was told so", |h| {
            let (client, line) = find_any(h, |e| matches!(e, Event::Shown { live: true, .. }));
            let shown = event(h, client, line).clone();
            let Event::Shown { room, row, .. } = shown else {
                unreachable!("it was found as one");
            };
            // Everything from it on comes again.
            let resumed = [(room, row.seq - 1)].into();
            insert_after(h, client, line, Event::Lagged);
            insert_after(h, client, line + 1, Event::Resumed { rooms: resumed });
            insert_after(
                h,
                client,
                line + 2,
                Event::Shown {
                    room,
                    row,
                    live: false,
                },
            );
        }),
        (
            "a room that no recorded client writes to has messages of others",
            |h| {
                let message = MessageRow {
                    cid: Uuid::from_u128(1),
                    msg_no: 77,
                    body: 1,
                    edited: 0,
                    deleted: false,
                };
                let row = Row {
                    seq: 90,
                    slot: 1,
                    author: 99,
                    message: Some(message),
                    change: None,
                    rest: 0,
                };
                let end = h.clients[0].1.last().expect("lines").0;
                let (room, live) = (77, true);
                h.clients[0]
                    .1
                    .push(Line(end, Event::Shown { room, row, live }));
            },
        ),
        ("a room that was left speaks once more", |h| {
            let (client, line) = find_any(h, |e| matches!(e, Event::Shown { live: true, .. }));
            let Event::Shown { room, .. } = *event(h, client, line) else {
                unreachable!("it was found as one");
            };
            let again = event(h, client, line).clone();
            h.clients[client].1.truncate(line + 1);
            insert_after(h, client, line, Event::Closed { room });
            insert_after(h, client, line + 1, again);
            forget_unsent(h, client);
        }),
    ];
    for (name, change) in cases {
        let mut history = correct();
        change(&mut history);
        assert!(history != correct(), "{name}: changes nothing");
        let report = history.check();
        assert!(report.holds(), "{name}: {report}");
    }
}

/// The rest of a history was cut off: nobody may have been shown what it sent there.
fn forget_unsent(history: &mut History, client: usize) {
    let user = client as u64 + 1;
    let sent: Vec<Uuid> = history.clients[client]
        .1
        .iter()
        .filter_map(|line| match line.1 {
            Event::Sent { cid, .. } => Some(cid),
            _ => None,
        })
        .collect();
    let Line(end, _) = *history.clients[client].1.last().expect("lines");
    let asked: Vec<(u64, u64, Option<u64>)> = history.clients[client]
        .1
        .iter()
        .filter_map(|line| match line.1 {
            Event::Changing { room, of, body, .. } => Some((room, of, body)),
            _ => None,
        })
        .collect();
    let (mut missing, mut changes) = (Vec::new(), Vec::new());
    rows(history, |room, row| {
        let change = row.change.filter(|_| row.author == user);
        let change = change.filter(|change| change.deletes || change.body.is_some());
        let change = change.map(|change| (room, change.of, change.body));
        changes.extend(change.filter(|change| !asked.contains(change)));
        let message = row
            .message
            .filter(|message| row.author == user && !sent.contains(&message.cid));
        missing.extend(message.map(|message| (room, row.seq, message)));
        true
    });
    missing.sort_by_key(|(room, seq, _)| (*room, *seq));
    missing.dedup_by_key(|(_, _, message)| message.cid);
    changes.sort_unstable();
    changes.dedup();
    let lines = &mut history.clients[client].1;
    for (number, (room, of, body)) in changes.into_iter().enumerate() {
        let cid = Uuid::from_u128(number as u128);
        let changing = Event::Changing {
            cid,
            room,
            of,
            body,
        };
        lines.push(Line(end, changing));
    }
    for (room, _, MessageRow { cid, body, .. }) in missing {
        lines.push(Line(end, Event::Sent { cid, room, body }));
    }
}
