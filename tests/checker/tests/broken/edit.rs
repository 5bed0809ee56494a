//! How a history is changed.

use std::collections::HashMap;

use checker::synthetic::History;
use checker::{Event, Line, Row};
use uuid::Uuid;

/// An acknowledged message, and where its acknowledgement stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acked {
    pub(crate) client: usize,
    pub(crate) line: usize,
    pub(crate) author: u64,
    pub(crate) cid: Uuid,
    pub(crate) room: u64,
    pub(crate) seq: u64,
    pub(crate) slot: u64,
    pub(crate) at: u64,
}

/// All acknowledged messages, by the time at which they were sent.
pub(crate) fn acked(history: &History) -> Vec<Acked> {
    let mut found: Vec<(u64, Acked)> = Vec::new();
    for (client, (_, lines)) in history.clients.iter().enumerate() {
        let mut author = 0;
        let mut sent = HashMap::new();
        for (line, Line(at, event)) in lines.iter().enumerate() {
            match event {
                Event::Client { user, .. } => author = *user,
                Event::Sent { cid, .. } => {
                    sent.insert(*cid, *at);
                }
                Event::Acked {
                    cid,
                    room,
                    seq,
                    slot,
                    ..
                } => found.push((
                    sent[cid],
                    Acked {
                        client,
                        line,
                        author,
                        cid: *cid,
                        room: *room,
                        seq: *seq,
                        slot: *slot,
                        at: *at,
                    },
                )),
                _ => {}
            }
        }
    }
    found.sort_by_key(|(sent, _)| *sent);
    found.into_iter().map(|(_, acked)| acked).collect()
}

/// Two messages of one author in one room, the earlier one first, acknowledged in slots of their
/// own.
pub(crate) fn pair(history: &History) -> (Acked, Acked) {
    let all = acked(history);
    let second = |first: &Acked| {
        let same = |other: &&Acked| {
            (other.author, other.room) == (first.author, first.room) && other.slot > first.slot
        };
        all.iter().find(same).copied()
    };
    // From the last third on, every node has the rows.
    let late = &all[all.len() / 2..];
    let found = late.iter().find_map(|first| Some((*first, second(first)?)));
    found.expect("somebody sends twice to one room")
}

/// Changes every row that anybody was shown of a room, or takes it out.
pub(crate) fn rows(history: &mut History, mut keep: impl FnMut(u64, &mut Row) -> bool) {
    for (_, lines) in &mut history.clients {
        let mut rooms = HashMap::new();
        lines.retain_mut(|Line(_, event)| match event {
            Event::Asked { question, room, .. } => {
                rooms.insert(*question, *room);
                true
            }
            Event::Shown { room, row, .. } => keep(*room, row),
            Event::Page { question, rows, .. } => {
                let room = rooms.get(question).copied().unwrap_or(0);
                rows.retain_mut(|row| keep(room, row));
                true
            }
            _ => true,
        });
    }
}

/// The first line of a client that is wanted: its index.
pub(crate) fn find(
    history: &History,
    client: usize,
    wanted: impl Fn(&Event) -> bool,
) -> Option<usize> {
    let lines = &history.clients[client].1;
    lines.iter().position(|Line(_, event)| wanted(event))
}

/// Some client and the index of its first line that is wanted.
pub(crate) fn find_any(history: &History, wanted: impl Fn(&Event) -> bool) -> (usize, usize) {
    let clients = 0..history.clients.len();
    let found = clients
        .into_iter()
        .find_map(|client| Some((client, find(history, client, &wanted)?)));
    found.expect("a history has such a line")
}

pub(crate) fn event(history: &mut History, client: usize, line: usize) -> &mut Event {
    &mut history.clients[client].1[line].1
}

/// Puts a line behind another one, at the same time.
pub(crate) fn insert_after(history: &mut History, client: usize, line: usize, event: Event) {
    let at = history.clients[client].1[line].0;
    history.clients[client].1.insert(line + 1, Line(at, event));
}

/// The row of a slot in each log that has it.
pub(crate) fn log_rows(
    history: &mut History,
    slot: u64,
) -> impl Iterator<Item = &mut checker::LogRow> {
    let logs = history.logs.iter_mut();
    logs.filter_map(move |log| log.rows.iter_mut().find(|row| row.slot == slot))
}

pub(crate) fn is(row: &Row, cid: Uuid) -> bool {
    row.message.is_some_and(|message| message.cid == cid)
}

/// An answer to a change of a message: a client and a line.
pub(crate) fn answered(history: &History) -> (usize, usize) {
    let changing = |history: &History, cid: Uuid| {
        let is_it = |e: &Event| matches!(e, Event::Changing { cid: of, .. } if *of == cid);
        (0..history.clients.len()).any(|client| find(history, client, is_it).is_some())
    };
    find_any(
        history,
        |e| matches!(e, Event::Did { cid, .. } if changing(history, *cid)),
    )
}

/// Room and `seq` of a message that was edited, then deleted.
pub(crate) fn edited_and_deleted(history: &History) -> (u64, u64) {
    let asked = |wanted: Option<(u64, u64)>| {
        let clients = history.clients.iter();
        let all = clients.flat_map(|(_, lines)| lines);
        all.filter_map(move |Line(_, e)| match *e {
            Event::Changing { room, of, body, .. } => Some((room, of, body)),
            _ => None,
        })
        .filter(move |(room, of, body)| match wanted {
            None => body.is_none(),
            Some(wanted) => body.is_some() && (*room, *of) == wanted,
        })
        .map(|(room, of, _)| (room, of))
        .collect::<Vec<_>>()
    };
    let deleted = asked(None).into_iter();
    let mut both = deleted.filter(|wanted| !asked(Some(*wanted)).is_empty());
    both.next().expect("somebody edits, then deletes")
}

/// Whether a client was told that something is unread.
pub(crate) fn has_unread(event: &Event) -> bool {
    let Event::Connected { markers, .. } = event else {
        return false;
    };
    markers.values().any(|marker| marker.unread > 0)
}
