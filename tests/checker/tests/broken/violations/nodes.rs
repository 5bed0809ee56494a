//! Nodes, quorums, answers, and what is missing.

use checker::{Event, Kind};
use uuid::Uuid;

use super::{ack_of, check, one};
use crate::edit::{Acked, acked, event, find, find_any, insert_after, is, log_rows, rows};

/// C7, and the order of real time.
#[test]
fn without_quorum_and_against_time() {
    check(&[
        (Kind::WithoutQuorum, "acknowledged in an outage", |h| {
            let of = one(h);
            let mut outage = h.outages[0].clone();
            let sent = |e: &Event| matches!(e, Event::Sent { cid, .. } if *cid == of.cid);
            let line = find(h, of.client, sent).expect("it was sent");
            (outage.from_us, outage.to_us) = (h.clients[of.client].1[line].0, of.at);
            h.outages.push(outage);
        }),
        (Kind::WithoutQuorum, "held by one of three", |h| {
            for log in h.logs.iter_mut().skip(1) {
                log.decided -= 20;
                log.rows.truncate(log.rows.len() - 20);
            }
        }),
        (Kind::WithoutQuorum, "two logs of five", |h| {
            h.logs.pop();
            for log in &mut h.logs {
                log.voters = vec![1, 2, 3, 4, 5];
            }
        }),
        (
            Kind::RealTime,
            "acknowledged before, in a higher slot",
            |h| {
                // In two rooms, so that no `seq` tells.
                let all = acked(h);
                let later =
                    |a: &Acked| all.iter().find(|b| b.room != a.room && b.slot > a.slot + 5);
                let (early, late) = all
                    .iter()
                    .find_map(|a| Some((*a, *later(a)?)))
                    .expect("two rooms");
                *ack_of(h, early).2 = late.slot + 1;
            },
        ),
        (Kind::RealTime, "shown before, in a higher slot", |h| {
            // The last message of another room that nobody acknowledged.
            let of = acked(h)[2];
            h.clients[of.client].1.remove(of.line);
            rows(h, |_, row| {
                if is(row, of.cid) {
                    row.slot += 40;
                }
                true
            });
        }),
    ]);
}

/// Nodes hold the same.
#[test]
fn diverged() {
    check(&[
        (Kind::Diverged, "a chain", |h| {
            h.logs[2].rows[50].chain.push('0');
        }),
        (Kind::Diverged, "a command", |h| {
            let of = one(h);
            log_rows(h, of.slot).next().expect("there").commands.clear();
        }),
        (Kind::Diverged, "a state", |h| {
            h.states[1].hash.push('0');
        }),
        (Kind::Diverged, "a damaged state", |h| {
            h.states[1].damage = Some("a page".to_owned());
        }),
    ]);
}

/// Answers that exclude each other.
#[test]
fn contradicted() {
    fn refusal(cid: Uuid) -> Event {
        let (code, temporary) = ("not_member".to_owned(), false);
        Event::Refused {
            cid,
            code,
            temporary,
        }
    }
    check(&[
        (Kind::Contradicted, "acknowledged, then refused", |h| {
            let of = one(h);
            insert_after(h, of.client, of.line, refusal(of.cid));
        }),
        (Kind::Contradicted, "refused, then acknowledged", |h| {
            let of = one(h);
            insert_after(h, of.client, of.line - 1, refusal(of.cid));
        }),
        (Kind::Contradicted, "acknowledged in another room", |h| {
            let of = one(h);
            *ack_of(h, of).0 += 1;
        }),
        (Kind::Contradicted, "sent for the first time twice", |h| {
            let (client, line) = find_any(h, |e| matches!(e, Event::Sent { .. }));
            let again = event(h, client, line).clone();
            insert_after(h, client, line, again);
        }),
    ]);
}

/// What was not looked at is not believed.
#[test]
fn incomplete() {
    check(&[
        (Kind::Incomplete, "nobody sent anything", |h| {
            h.clients.clear()
        }),
        (Kind::Incomplete, "no log", |h| h.logs.clear()),
        (Kind::Incomplete, "no state", |h| h.states.clear()),
        (Kind::Incomplete, "no two states of one slot", |h| {
            for state in &mut h.states {
                state.slot += state.node;
            }
        }),
        (
            Kind::Incomplete,
            "a room that nobody read as a whole",
            |h| {
                for (_, lines) in &mut h.clients {
                    lines.retain(|line| !matches!(line.1, Event::ReadWhole { room: 2, .. }));
                }
            },
        ),
        (Kind::Incomplete, "a whole read without its pages", |h| {
            let client = h.clients.len() - 1;
            let line = find(h, client, |e| matches!(e, Event::Page { .. })).expect("a page");
            h.clients[client].1.remove(line);
        }),
        (Kind::Incomplete, "a page that nobody asked for", |h| {
            let client = h.clients.len() - 1;
            let line = find(h, client, |e| matches!(e, Event::Asked { .. })).expect("a question");
            h.clients[client].1.remove(line);
        }),
        (Kind::Incomplete, "two clocks", |h| {
            h.clients[0].1[5].0 += 1_000_000_000;
        }),
        (Kind::Incomplete, "whose history it is", |h| {
            h.clients[0].1.remove(0);
        }),
    ]);
}
