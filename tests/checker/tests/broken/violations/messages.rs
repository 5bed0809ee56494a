//! One message: lost, twice, made up, moved.

use checker::{Event, Kind, Line};
use uuid::Uuid;

use super::{ack_of, body, check, long_page, one, shown_twice};
use crate::edit::{acked, event, find, find_any, insert_after, is, pair, rows};

/// C2, C4: what was acknowledged is there.
#[test]
fn lost() {
    check(&[
        (Kind::Lost, "shown to nobody", |h| {
            let lost = one(h);
            rows(h, |_, row| !is(row, lost.cid));
        }),
        (
            Kind::Lost,
            "closed over: all numbers behind it are one less",
            |h| {
                let lost = one(h);
                rows(h, |room, row| {
                    let later = room == lost.room && row.seq > lost.seq;
                    row.seq -= u64::from(later);
                    if let Some(message) = &mut row.message {
                        message.msg_no -= u64::from(later);
                    }
                    !is(row, lost.cid)
                });
            },
        ),
        (Kind::Lost, "the end of a room is gone at the end", |h| {
            let (client, _) = find_any(h, |e| matches!(e, Event::ReadWhole { .. }));
            let last = acked(h)
                .into_iter()
                .rfind(|one| one.room == 1)
                .expect("one");
            for Line(_, event) in &mut h.clients[client].1 {
                match event {
                    Event::Page { head, rows, .. } if rows.iter().any(|row| is(row, last.cid)) => {
                        rows.retain(|row| row.seq < last.seq);
                        *head = last.seq - 1;
                    }
                    Event::ReadWhole { room: 1, head, .. } => *head = last.seq - 1,
                    _ => {}
                }
            }
        }),
        (Kind::Lost, "in no log", |h| {
            let lost = one(h);
            // Nor the copy of it that was sent again.
            for log in &mut h.logs {
                for row in &mut log.rows {
                    row.commands.retain(|command| command.cid != lost.cid);
                }
            }
        }),
        (Kind::Lost, "another one stands in its place", |h| {
            let lost = one(h);
            rows(h, |_, row| {
                if is(row, lost.cid) {
                    row.message = None;
                }
                true
            });
        }),
    ]);
}

/// C2: one message, one place.
#[test]
fn duplicated() {
    check(&[
        (Kind::Duplicated, "twice in a room", |h| {
            let (first, second) = pair(h);
            let body = body(h, first.cid);
            rows(h, |_, row| {
                if let Some(message) = row.message.as_mut().filter(|m| m.cid == second.cid) {
                    (message.cid, message.body) = (first.cid, body);
                }
                true
            });
        }),
        (Kind::Duplicated, "acknowledged under two numbers", |h| {
            let of = one(h);
            let mut second = event(h, of.client, of.line).clone();
            if let Event::Acked { seq, dup, .. } = &mut second {
                (*seq, *dup) = (*seq + 1, true);
            }
            insert_after(h, of.client, of.line, second);
        }),
        (Kind::Duplicated, "in two rooms", |h| {
            let of = one(h);
            let other = acked(h)
                .into_iter()
                .find(|o| o.room != of.room)
                .expect("one");
            let body = body(h, of.cid);
            rows(h, |_, row| {
                if let Some(message) = row.message.as_mut().filter(|m| m.cid == other.cid) {
                    (message.cid, message.body) = (of.cid, body);
                    row.author = of.author;
                }
                true
            });
        }),
    ]);
}

/// What is shown was sent so.
#[test]
fn phantom() {
    check(&[
        (Kind::Phantom, "sent by nobody", |h| {
            let of = one(h);
            rows(h, |_, row| {
                if let Some(message) = row.message.as_mut().filter(|m| m.cid == of.cid) {
                    message.cid = Uuid::from_u128(1);
                }
                true
            });
        }),
        (Kind::Phantom, "in no log", |h| {
            let of = one(h);
            for log in &mut h.logs {
                for row in &mut log.rows {
                    row.commands.retain(|command| command.cid != of.cid);
                }
            }
        }),
        (Kind::Phantom, "another text", |h| {
            let of = one(h);
            rows(h, |_, row| {
                if let Some(message) = row.message.as_mut().filter(|m| m.cid == of.cid) {
                    message.body += 1;
                }
                true
            });
        }),
        (Kind::Phantom, "another author", |h| {
            let of = one(h);
            rows(h, |_, row| {
                if is(row, of.cid) {
                    row.author = of.author % 4 + 1;
                }
                true
            });
        }),
        (Kind::Phantom, "refused for good, and shown", |h| {
            let of = one(h);
            let (code, temporary) = ("not_member".to_owned(), false);
            let cid = of.cid;
            *event(h, of.client, of.line) = Event::Refused {
                cid,
                code,
                temporary,
            };
        }),
        (Kind::Phantom, "in a room that it was not sent to", |h| {
            let of = one(h);
            let sent = |e: &Event| matches!(e, Event::Sent { cid, .. } if *cid == of.cid);
            let line = find(h, of.client, sent).expect("it was sent");
            if let Event::Sent { room, .. } = event(h, of.client, line) {
                *room = *room % 3 + 1;
            }
        }),
        (Kind::Phantom, "shown before it was sent", |h| {
            let of = one(h);
            let (client, line) = find_any(
                h,
                |e| matches!(e, Event::Shown { row, .. } if is(row, of.cid)),
            );
            for Line(at, _) in &mut h.clients[client].1[..=line] {
                *at = 0;
            }
        }),
        (Kind::Phantom, "acknowledged and never sent", |h| {
            let of = one(h);
            let line = find(
                h,
                of.client,
                |e| matches!(e, Event::Sent { cid, .. } if *cid == of.cid),
            );
            h.clients[of.client].1.remove(line.expect("it was sent"));
        }),
    ]);
}

/// C6: nothing moves.
#[test]
fn moved() {
    check(&[
        (Kind::Moved, "one client is shown something else", |h| {
            let (client, line) = shown_twice(h);
            if let Event::Shown { row, .. } = event(h, client, line) {
                row.rest += 1;
            }
        }),
        (Kind::Moved, "in a page at the end", |h| {
            let (client, line) = long_page(h);
            if let Event::Page { rows, .. } = event(h, client, line) {
                rows[2].slot += 1;
            }
        }),
        (Kind::Moved, "acknowledged in another slot", |h| {
            let of = one(h);
            *ack_of(h, of).2 += 1;
        }),
        (Kind::Moved, "acknowledged with another number", |h| {
            let of = one(h);
            *ack_of(h, of).1 += 1;
        }),
    ]);
}
