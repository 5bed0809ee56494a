//! The effects of a range of slots, read back: what a gateway missed.
//!
//! Must hold: the same effects in the same order as `apply` returned them, word for word, but for
//! the texts of messages that were deleted since and whom a text mentions by now.
//! Test: tests/properties.rs.

use paxos::ids::Slot;
use prost::Message as _;
use proto::v1::{Effect, RoomEvent, UserEvent, effect};
use rusqlite::{Connection, Rows, params};

use crate::error::Fault;
use crate::ids::EventId;
use crate::{limits, rows, states};

/// Effects of consecutive slots.
#[derive(Clone, PartialEq, Debug)]
pub struct EffectsPage {
    /// The slots that have effects, ascending, each whole.
    pub slots: Vec<(Slot, Vec<Effect>)>,
    /// Everything after the slot that was asked for, up to and including this one, is in
    /// `slots`. The next page begins after it; below the slot that was asked for, or the applied
    /// one, there is a next page.
    pub upto: Slot,
}

/// Reads slots in `(after, upto]`, at most `effects_max` effects or
/// [`limits::PAGE_BYTES_MAX`] bytes, but at least one slot with effects, if there is one.
pub(crate) fn effects_between(
    connection: &Connection,
    after: Slot,
    upto: Slot,
    effects_max: usize,
) -> Result<EffectsPage, Fault> {
    let range = params![
        EventId::last_of(after).to_sql(),
        EventId::last_of(upto).to_sql()
    ];
    let order = "e.eid > ?1 AND e.eid <= ?2 ORDER BY e.eid";
    let mut room_statement =
        connection.prepare_cached(&format!("{} WHERE {order}", rows::ROOM_EVENT_COLUMNS))?;
    let mut user_statement =
        connection.prepare_cached(&format!("{} WHERE {order}", rows::USER_EVENT_COLUMNS))?;
    let mut merge = Merge {
        connection,
        room_rows: room_statement.query(range)?,
        user_rows: user_statement.query(range)?,
        next_room: None,
        next_user: None,
    };
    merge.step_room()?;
    merge.step_user()?;

    let mut page = EffectsPage {
        slots: Vec::new(),
        upto,
    };
    let (mut effects_count, mut bytes_count) = (0, 0);
    while let Some((event, effect)) = merge.next()? {
        let slot = event.slot();
        let is_full = effects_count >= effects_max || bytes_count >= limits::PAGE_BYTES_MAX;
        effects_count += 1;
        bytes_count += effect.encoded_len();
        match page.slots.last_mut() {
            Some((last, effects)) if *last == slot => {
                require_next(event, effects.len())?;
                effects.push(effect);
            }
            Some((last, _)) if is_full => {
                page.upto = *last;
                break;
            }
            _ => {
                require_next(event, 0)?;
                page.slots.push((slot, vec![effect]));
            }
        }
    }
    Ok(page)
}

/// The effects of a slot are numbered without a hole.
fn require_next(event: EventId, expected: usize) -> Result<(), Fault> {
    if EventId::new(event.slot(), expected as u64) == Some(event) {
        return Ok(());
    }
    Err(Fault::Damaged(format!(
        "{event:?} is found where effect {expected} of its slot comes next"
    )))
}

/// The two event tables as one sequence by key.
struct Merge<'s> {
    connection: &'s Connection,
    room_rows: Rows<'s>,
    user_rows: Rows<'s>,
    /// Read ahead by one each.
    next_room: Option<(EventId, RoomEvent)>,
    next_user: Option<(EventId, UserEvent)>,
}

impl Merge<'_> {
    fn next(&mut self) -> Result<Option<(EventId, Effect)>, Fault> {
        let is_room_first = match (&self.next_room, &self.next_user) {
            (Some((room, _)), Some((user, _))) if room == user => {
                return Err(Fault::Damaged(format!("{room:?} is in both event tables")));
            }
            (Some((room, _)), Some((user, _))) => room < user,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if is_room_first {
            let Some((event, emitted)) = self.next_room.take() else {
                return Ok(None);
            };
            self.step_room()?;
            let effect = Effect {
                kind: Some(effect::Kind::Room(emitted)),
            };
            return Ok(Some((event, effect)));
        }
        let Some((event, emitted)) = self.next_user.take() else {
            return Ok(None);
        };
        self.step_user()?;
        let effect = Effect {
            kind: Some(effect::Kind::User(emitted)),
        };
        Ok(Some((event, effect)))
    }

    fn step_room(&mut self) -> Result<(), Fault> {
        self.next_room = self.room_rows.next()?.map(rows::room_event).transpose()?;
        if let Some((_, event)) = &mut self.next_room {
            states::add_mentions(self.connection, event)?;
        }
        Ok(())
    }

    fn step_user(&mut self) -> Result<(), Fault> {
        self.next_user = self.user_rows.next()?.map(rows::user_event).transpose()?;
        Ok(())
    }
}
