//! What a person has written and the cluster has not yet answered: per room in order, one in
//! flight.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;
use uuid::Uuid;

use crate::limits::OUTBOX_MAX;

/// A message that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) cid: Uuid,
    pub(crate) body: String,
    /// It was sent at least once.
    pub(crate) sent: bool,
    /// When it was last sent on the present connection.
    pub(crate) in_flight: Option<Instant>,
    /// It is not sent again before.
    pub(crate) not_before: Instant,
}

/// Per room a queue.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    rooms: BTreeMap<u64, VecDeque<Waiting>>,
}

impl Outbox {
    /// Puts a message at the end of its room, unless too many wait there.
    pub(crate) fn push(&mut self, room: u64, body: String) {
        let queue = self.rooms.entry(room).or_default();
        if queue.len() < OUTBOX_MAX {
            queue.push_back(Waiting {
                cid: Uuid::now_v7(),
                body,
                sent: false,
                in_flight: None,
                not_before: Instant::now(),
            });
        }
    }

    /// The first of each room.
    pub(crate) fn fronts(&mut self) -> impl Iterator<Item = (u64, &mut Waiting)> {
        let first = |(room, queue): (&u64, _)| (*room, VecDeque::front_mut(queue));
        let rooms = self.rooms.iter_mut().map(first);
        rooms.filter_map(|(room, front)| Some((room, front?)))
    }

    /// Takes out the message that was answered, if it is still waited for.
    pub(crate) fn take(&mut self, cid: Uuid) -> Option<Waiting> {
        let queue = self
            .rooms
            .values_mut()
            .find(|queue| queue.front().is_some_and(|front| front.cid == cid))?;
        queue.pop_front()
    }

    /// The message that waits for this answer.
    pub(crate) fn find(&mut self, cid: Uuid) -> Option<&mut Waiting> {
        self.fronts()
            .map(|(_, front)| front)
            .find(|front| front.cid == cid)
    }

    /// The connection is gone: everything is to be sent again.
    pub(crate) fn disconnected(&mut self) {
        for (_, front) in self.fronts() {
            front.in_flight = None;
        }
    }

    /// Forgets what was never sent.
    pub(crate) fn forget_unsent(&mut self) {
        for queue in self.rooms.values_mut() {
            queue.retain(|waiting| waiting.sent);
        }
        self.rooms.retain(|_, queue| !queue.is_empty());
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.rooms.values().map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Order per room, one at the front, a bound, and nothing unsent at the end.
    #[test]
    fn an_outbox_keeps_the_order() {
        let mut outbox = Outbox::default();
        for number in 0..=OUTBOX_MAX {
            outbox.push(1, number.to_string());
        }
        outbox.push(2, "other".to_owned());
        assert_eq!(outbox.len(), OUTBOX_MAX + 1);
        let fronts: Vec<_> = outbox
            .fronts()
            .map(|(room, front)| (room, front.body.clone(), front.cid))
            .collect();
        assert_eq!(fronts[0].1, "0");
        assert!(outbox.take(Uuid::from_u128(1)).is_none());
        assert_eq!(outbox.take(fronts[0].2).expect("the first").body, "0");
        assert!(outbox.find(fronts[1].2).is_some());
        for (_, front) in outbox.fronts() {
            front.sent = true;
            front.in_flight = Some(Instant::now());
        }
        outbox.disconnected();
        assert!(outbox.fronts().all(|(_, front)| front.in_flight.is_none()));
        outbox.forget_unsent();
        assert_eq!(outbox.len(), 2);
    }
}
