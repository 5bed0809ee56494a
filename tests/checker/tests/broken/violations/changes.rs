//! Changes of messages and read markers: lost, twice, made up, forgotten, miscounted.

use checker::synthetic::History;
use checker::{Event, Kind, Line, Row, digest};

use super::check;
use crate::edit::{answered, edited_and_deleted, event, find_any, has_unread, insert_after, rows};

/// What was asked for with this answer: room, message, new text, slot.
fn one(h: &History) -> (u64, u64, Option<u64>, u64) {
    let (client, line) = answered(h);
    let Event::Did { cid, slot, .. } = h.clients[client].1[line].1 else {
        unreachable!("it was found as one");
    };
    let changing = |e: &Event| matches!(e, Event::Changing { cid: of, .. } if *of == cid);
    let (client, line) = find_any(h, changing);
    match h.clients[client].1[line].1 {
        Event::Changing { room, of, body, .. } => (room, of, body, slot),
        _ => unreachable!("it was found as one"),
    }
}

/// The first edit that somebody asked for: room, message, text.
fn edit(h: &History) -> (u64, u64, u64) {
    let (client, line) = find_any(h, |e| matches!(e, Event::Changing { body: Some(_), .. }));
    match h.clients[client].1[line].1 {
        Event::Changing {
            room,
            of,
            body: Some(body),
            ..
        } => (room, of, body),
        _ => unreachable!("it was found as one"),
    }
}

/// Changes the rows of the readers who come last.
fn at_the_end(h: &mut History, mut change: impl FnMut(&mut Row)) {
    for (_, lines) in h.clients.iter_mut().rev().take(2) {
        for Line(_, event) in lines {
            if let Event::Page { rows, .. } = event {
                rows.iter_mut().for_each(&mut change);
            }
        }
    }
}

/// What was answered has happened, once.
#[test]
fn changes_happen_once() {
    check(&[
        (Kind::Lost, "an answered change that nobody is shown", |h| {
            let (room, of, ..) = one(h);
            rows(h, |number, row| {
                let is_it = number == room && row.change.is_some_and(|change| change.of == of);
                if is_it {
                    row.change = None;
                }
                true
            });
        }),
        (Kind::Lost, "an answered change that is in no log", |h| {
            let (client, line) = answered(h);
            let Event::Did { cid, .. } = *event(h, client, line) else {
                unreachable!("it was found as one");
            };
            let rows = h.logs.iter_mut().flat_map(|log| &mut log.rows);
            rows.for_each(|row| row.commands.retain(|command| command.cid != cid));
        }),
        (Kind::Moved, "answered with another slot", |h| {
            let (client, line) = answered(h);
            if let Event::Did { slot, .. } = event(h, client, line) {
                *slot += 1;
            }
        }),
        (Kind::Duplicated, "one change, two events", |h| {
            let (room, of, body) = edit(h);
            let author = std::cell::Cell::new(0);
            rows(h, |number, row| {
                if number == room
                    && row
                        .change
                        .is_some_and(|c| c.of == of && c.body == Some(body))
                {
                    author.set(row.author);
                }
                true
            });
            rows(h, |number, row| {
                let other = row.author == author.get() && number == room;
                if let Some(change) = row.change.as_mut().filter(|_| other) {
                    (change.of, change.body, change.deletes) = (of, Some(body), false);
                }
                true
            });
        }),
        (
            Kind::WithoutQuorum,
            "answered while a majority was dead",
            |h| {
                let (client, line) = answered(h);
                let at = h.clients[client].1[line].0;
                (h.outages[0].from_us, h.outages[0].to_us) = (0, at);
            },
        ),
        (Kind::Contradicted, "answered, then refused for good", |h| {
            let (client, line) = answered(h);
            let Event::Did { cid, .. } = *event(h, client, line) else {
                unreachable!("it was found as one");
            };
            let (code, temporary) = ("forbidden".to_owned(), false);
            let refused = Event::Refused {
                cid,
                code,
                temporary,
            };
            insert_after(h, client, line, refused);
        }),
    ]);
}

/// Nobody is shown a text that its author did not give it.
#[test]
fn texts_are_what_was_asked_for() {
    check(&[
        (Kind::Phantom, "an edit with another text", |h| {
            let (_, _, body) = edit(h);
            rows(h, |_, row| {
                if let Some(message) = row.message.as_mut().filter(|m| m.body == body) {
                    message.body += 1;
                }
                if let Some(change) = row.change.as_mut().filter(|c| c.body == Some(body)) {
                    change.body = Some(body + 1);
                }
                true
            });
        }),
        (Kind::Phantom, "a tombstone that nobody made", |h| {
            at_the_end(h, |row| {
                if let Some(message) = &mut row.message {
                    (message.deleted, message.body) = (true, digest(""));
                }
            });
        }),
        (
            Kind::Phantom,
            "the text of an edit that there is not",
            |h| {
                at_the_end(h, |row| {
                    if let Some(message) =
                        row.message.as_mut().filter(|message| message.edited == 0)
                    {
                        message.edited = row.seq + 1_000_000;
                    }
                });
            },
        ),
        (Kind::Phantom, "changed by somebody else", |h| {
            rows(h, |_, row| {
                if row.change.is_some() {
                    row.author = row.author % 4 + 1;
                }
                true
            });
        }),
        (Kind::Moved, "two texts of one edit", |h| {
            at_the_end(h, |row| {
                if let Some(message) = row.message.as_mut().filter(|message| message.edited != 0) {
                    message.body += 1;
                }
            });
        }),
        (Kind::WentBack, "the text of before, later", |h| {
            let (_, _, body) = edit(h);
            at_the_end(h, |row| {
                if let Some(message) = row.message.as_mut().filter(|m| m.body == body) {
                    (message.body, message.edited) = (0, 0);
                }
            });
        }),
        (
            Kind::WentBack,
            "a deleted message has its text again",
            |h| {
                let (_, of) = edited_and_deleted(h);
                at_the_end(h, |row| {
                    if let Some(message) =
                        row.message.as_mut().filter(|m| m.deleted && row.seq == of)
                    {
                        message.deleted = false;
                    }
                });
            },
        ),
        (Kind::Reordered, "the later change first", |h| {
            let changing = |e: &Event| matches!(e, Event::Changing { .. });
            let (client, first) = find_any(h, changing);
            let lines = &mut h.clients[client].1;
            let last = lines
                .iter()
                .rposition(|line| changing(&line.1))
                .expect("two");
            let (earlier, later) = (lines[first].1.clone(), lines[last].1.clone());
            (lines[first].1, lines[last].1) = (later, earlier);
        }),
    ]);
}

/// C5: a marker does not move back, and what is unread follows from the messages.
#[test]
fn reading_is_told_right() {
    check(&[
        (Kind::WentBack, "a read marker moves back", |h| {
            let told = |e: &Event| matches!(e, Event::Told { read, .. } if *read > 0);
            let (client, line) = find_any(h, told);
            let mut again = event(h, client, line).clone();
            if let Event::Told { read, .. } = &mut again {
                *read -= 1;
            }
            insert_after(h, client, line, again);
        }),
        (
            Kind::WentBack,
            "an answered read marker is forgotten",
            |h| {
                for (_, lines) in &mut h.clients {
                    lines.retain(|line| !matches!(line.1, Event::Told { .. }));
                    for Line(_, event) in lines {
                        if let Event::Connected { markers, .. } = event {
                            markers.values_mut().for_each(|marker| marker.read = 0);
                        }
                    }
                }
            },
        ),
        (Kind::Phantom, "read beyond the end", |h| {
            let (client, line) = find_any(h, has_unread);
            if let Event::Connected { markers, heads, .. } = event(h, client, line) {
                for (room, marker) in markers {
                    marker.read = heads[room] + 1;
                }
            }
        }),
        (Kind::Miscounted, "one unread message too few", |h| {
            let (client, line) = find_any(h, has_unread);
            if let Event::Connected { markers, .. } = event(h, client, line) {
                for marker in markers.values_mut().filter(|marker| marker.unread > 0) {
                    (marker.unread, marker.more) = (marker.unread - 1, false);
                }
            }
        }),
        (Kind::Miscounted, "more than there are", |h| {
            let (client, line) = find_any(h, has_unread);
            if let Event::Connected { markers, .. } = event(h, client, line) {
                for marker in markers.values_mut() {
                    (marker.unread, marker.more) = (marker.unread + 1, true);
                }
            }
        }),
    ]);
}
