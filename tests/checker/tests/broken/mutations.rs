//! Whatever a random hand does to a correct history is found.

use checker::synthetic::History;
use checker::{Event, Line, Row};
use proptest::prelude::*;
use uuid::Uuid;

use crate::SIZE;
use crate::edit::{acked, event};

/// One change that no correct run can have made.
#[derive(Clone, Copy, Debug)]
enum Mutation {
    /// A field of an event that somebody was shown, live or in a page.
    ChangeRow { field: u8 },
    /// A number of an acknowledgement.
    ChangeAck { field: u8 },
    /// An event that a reader was shown is not there.
    DropFromPage,
    /// Two neighbours of a page stand in each other's place.
    SwapInPage,
    /// An event comes twice on a connection.
    ShowAgain,
    /// An acknowledged message was never sent.
    ForgetSending,
    /// A row of a log that another node has as well.
    ChangeLog { field: u8 },
    /// Nobody is shown an acknowledged message.
    Lose,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        any::<u8>().prop_map(|field| Mutation::ChangeRow { field }),
        any::<u8>().prop_map(|field| Mutation::ChangeAck { field }),
        Just(Mutation::DropFromPage),
        Just(Mutation::SwapInPage),
        Just(Mutation::ShowAgain),
        Just(Mutation::ForgetSending),
        any::<u8>().prop_map(|field| Mutation::ChangeLog { field }),
        Just(Mutation::Lose),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// The histories, the places and the changes are drawn; none may pass.
    #[test]
    fn none_passes(seed in 0..50_u64, mutation in mutation(), place in any::<prop::sample::Index>()) {
        let mut history = History::generate(seed, SIZE);
        let before = history.clone();
        mutate(&mut history, mutation, place);
        prop_assert!(history != before, "{mutation:?} changes nothing");
        let report = history.check();
        prop_assert!(!report.holds(), "seed {seed}, {mutation:?} at {place:?} is not found");
    }
}

fn mutate(history: &mut History, mutation: Mutation, place: prop::sample::Index) {
    match mutation {
        Mutation::ChangeRow { field } => {
            let mut all = every_row(history);
            let index = place.index(all.len());
            change(all[index], field);
        }
        Mutation::ChangeAck { field } => {
            let all = acked(history);
            let of = all[place.index(all.len())];
            if let Event::Acked {
                room,
                seq,
                msg_no,
                slot,
                ..
            } = event(history, of.client, of.line)
            {
                *[room, seq, msg_no, slot][usize::from(field % 4)] += 1;
            }
        }
        Mutation::DropFromPage => {
            let mut all = reader_pages(history);
            let index = place.index(all.len());
            let rows = &mut all[index];
            rows.remove(place.index(rows.len()));
        }
        Mutation::SwapInPage => {
            let mut all = reader_pages(history);
            let index = place.index(all.len());
            let rows = &mut all[index];
            let first = place.index(rows.len() - 1);
            rows.swap(first, first + 1);
        }
        Mutation::ShowAgain => {
            let (client, line) = pick(history, place, |e| matches!(e, Event::Shown { .. }));
            let again = history.clients[client].1[line].clone();
            history.clients[client].1.insert(line + 1, again);
        }
        Mutation::ForgetSending => {
            let all = acked(history);
            let of = all[place.index(all.len())];
            let lines = &mut history.clients[of.client].1;
            lines.retain(|line| !matches!(line.1, Event::Sent { cid, .. } if cid == of.cid));
        }
        Mutation::ChangeLog { field } => {
            // The second and the third node have whole logs.
            let rows = &mut history.logs[1].rows;
            let index = place.index(rows.len());
            match field % 2 {
                0 => rows[index].chain.push('0'),
                _ => rows[index].commands.push(checker::CommandId {
                    author: 1,
                    cid: Uuid::nil(),
                }),
            }
        }
        Mutation::Lose => {
            let all = acked(history);
            let of = all[place.index(all.len())];
            crate::edit::rows(history, |_, row| !crate::edit::is(row, of.cid));
        }
    }
}

fn change(row: &mut Row, field: u8) {
    if let Some(change) = row.change.as_mut().filter(|_| field.is_multiple_of(2)) {
        change.of += 1;
        return;
    }
    match (field % 7, &mut row.message) {
        (0, _) => row.seq += 1,
        (1, _) => row.slot += 1,
        (2, _) => row.author += 1,
        (3, Some(message)) => message.cid = Uuid::nil(),
        (4, Some(message)) => message.msg_no += 1,
        (5, Some(message)) => message.body ^= 1,
        (6, Some(_)) => row.message = None,
        _ => row.rest ^= 1,
    }
}

fn every_row(history: &mut History) -> Vec<&mut Row> {
    let lines = history.clients.iter_mut().flat_map(|(_, lines)| lines);
    lines
        .flat_map(|Line(_, event)| match event {
            Event::Shown { row, .. } => vec![row],
            Event::Page { rows, .. } => rows.iter_mut().collect(),
            _ => Vec::new(),
        })
        .collect()
}

/// Pages of those who read everything.
fn reader_pages(history: &mut History) -> Vec<&mut Vec<Row>> {
    let readers = history.clients.iter_mut().rev().take(2);
    let pages = readers
        .flat_map(|(_, lines)| lines)
        .filter_map(|line| match &mut line.1 {
            Event::Page { rows, .. } if rows.len() > 1 => Some(rows),
            _ => None,
        });
    pages.collect()
}

fn pick(
    history: &History,
    place: prop::sample::Index,
    wanted: impl Fn(&Event) -> bool,
) -> (usize, usize) {
    let mut all = Vec::new();
    for (client, (_, lines)) in history.clients.iter().enumerate() {
        let found = lines.iter().enumerate().filter(|(_, line)| wanted(&line.1));
        all.extend(found.map(|(line, _)| (client, line)));
    }
    all[place.index(all.len())]
}
