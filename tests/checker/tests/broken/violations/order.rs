//! Many messages: their order, and no hole.

use checker::{Event, Kind, Range};

use super::{ack_of, body, check, long_page, one, shown_twice};
use crate::edit::{Acked, acked, event, find, find_any, insert_after, is, log_rows, pair, rows};

/// The order of the author, of the connection, of the log.
#[test]
fn reordered() {
    check(&[
        (
            Kind::Reordered,
            "two of one author, in what is shown",
            |h| {
                let (first, second) = pair(h);
                let bodies = (body(h, first.cid), body(h, second.cid));
                rows(h, |_, row| {
                    if let Some(message) = &mut row.message {
                        if message.cid == first.cid {
                            (message.cid, message.body) = (second.cid, bodies.1);
                        } else if message.cid == second.cid {
                            (message.cid, message.body) = (first.cid, bodies.0);
                        }
                    }
                    true
                });
            },
        ),
        (
            Kind::Reordered,
            "two of one author, in what is acknowledged",
            |h| {
                let (first, second) = pair(h);
                *ack_of(h, first).1 = second.seq;
                *ack_of(h, second).1 = first.seq;
            },
        ),
        (
            Kind::Reordered,
            "an old event after a new one on one connection",
            |h| {
                let (client, line) = shown_twice(h);
                h.clients[client].1.swap(line, line + 1);
            },
        ),
        (Kind::Reordered, "an event twice on one connection", |h| {
            let (client, line) = shown_twice(h);
            let again = event(h, client, line).clone();
            insert_after(h, client, line, again);
        }),
        (Kind::Reordered, "two slots of the log", |h| {
            let (first, second) = pair(h);
            let of_first = log_rows(h, first.slot)
                .next()
                .expect("there")
                .commands
                .clone();
            let of_second = log_rows(h, second.slot)
                .next()
                .expect("there")
                .commands
                .clone();
            log_rows(h, first.slot).for_each(|row| row.commands.clone_from(&of_second));
            log_rows(h, second.slot).for_each(|row| row.commands.clone_from(&of_first));
        }),
        (Kind::Reordered, "two commands of one slot", |h| {
            // Both of one room: otherwise their order is nobody's.
            let all = acked(h);
            let twins = |a: &Acked, b: &Acked| {
                (a.slot, a.room) == (b.slot, b.room) && a.seq < b.seq && a.slot > 1050
            };
            let found = all.iter().find(|a| all.iter().any(|b| twins(a, b)));
            let slot = found.expect("two share a slot and a room").slot;
            log_rows(h, slot).for_each(|row| row.commands.reverse());
        }),
        (Kind::Reordered, "the room against its slots", |h| {
            let of = one(h);
            rows(h, |_, row| {
                if is(row, of.cid) {
                    row.slot = 1024;
                }
                true
            });
        }),
    ]);
}

/// C1 and C3: no hole.
#[test]
fn gap() {
    check(&[
        (Kind::Gap, "on a connection", |h| {
            let (client, line) = shown_twice(h);
            h.clients[client].1.remove(line);
        }),
        (Kind::Gap, "in a page", |h| {
            let (client, line) = long_page(h);
            if let Event::Page { rows, .. } = event(h, client, line) {
                rows.remove(1);
            }
        }),
        (Kind::Gap, "at the beginning of a page", |h| {
            let (client, line) = long_page(h);
            if let Event::Page { rows, .. } = event(h, client, line) {
                rows.remove(0);
            }
        }),
        (Kind::Gap, "an empty page of a room that is not", |h| {
            let (client, line) = long_page(h);
            if let Event::Page { rows, .. } = event(h, client, line) {
                rows.clear();
            }
        }),
        (Kind::Gap, "a page goes beyond the head", |h| {
            let (client, line) = long_page(h);
            if let Event::Page { head, .. } = event(h, client, line) {
                *head -= 1;
            }
        }),
        (Kind::Gap, "in the numbers of messages", |h| {
            let of = one(h);
            rows(h, |room, row| {
                if let Some(message) = &mut row.message {
                    message.msg_no += u64::from(room == of.room && row.seq >= of.seq);
                }
                true
            });
        }),
        (Kind::Gap, "in a room, for everybody", |h| {
            let of = one(h);
            rows(h, |room, row| room != of.room || row.seq != of.seq);
        }),
        (Kind::Gap, "before a stretch that is to be fetched", |h| {
            let (client, line) = find_any(h, |e| matches!(e, Event::Skipped { .. }));
            if let Event::Skipped { from, .. } = event(h, client, line) {
                *from += 1;
            }
        }),
    ]);
}

/// Reads are monotonic.
#[test]
fn went_back() {
    check(&[
        (Kind::WentBack, "a connection is ready and behind", |h| {
            let again =
                |e: &Event| matches!(e, Event::Connected { resume, .. } if !resume.is_empty());
            let (client, line) = find_any(h, again);
            if let Event::Connected { heads, .. } = event(h, client, line) {
                heads.values_mut().for_each(|head| *head = 1);
            }
        }),
        (Kind::WentBack, "a page is behind what was seen", |h| {
            let of = one(h);
            let line = find(
                h,
                of.client,
                |e| matches!(e, Event::Acked { cid, .. } if *cid == of.cid),
            );
            let (question, room, limit) = (999, of.room, 20);
            let gateway = "http://gateway-1".to_owned();
            let range = Range::After(0);
            let line = line.expect("it is there");
            insert_after(
                h,
                of.client,
                line,
                Event::Asked {
                    question,
                    gateway,
                    room,
                    range,
                    limit,
                },
            );
            let (head, rows) = (0, Vec::new());
            insert_after(
                h,
                of.client,
                line + 1,
                Event::Page {
                    question,
                    head,
                    rows,
                },
            );
        }),
    ]);
}
