//! What is ephemeral and waits for one client: bounded, coalesced, sent when nothing else is.
//!
//! In: who writes, who is how. Out: frames, at most one per person in a room and one for all
//! presence.
//! Must hold: however slow the client, it is told at last how the people are that it watches; of
//! what somebody was writing it may never hear, and does not hear when it is over.

use std::collections::BTreeMap;

use axum::extract::ws::Utf8Bytes;
use tokio::time::Instant;

use crate::frames::{PersonPresence, Presence, ServerFrame};
use crate::ids::{RoomId, UserId};
use crate::limits::{WRITING_FOR, WRITING_WAITING_MAX};

use super::outbox::serialise;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    writing: BTreeMap<(RoomId, UserId), (Utf8Bytes, Instant)>,
    /// As many as a client may watch, at most: only of these there is news.
    presence: BTreeMap<UserId, Presence>,
}

impl Waiting {
    /// Takes it, unless too many write at once. Who writes on is one entry.
    pub(super) fn writing(
        &mut self,
        room: RoomId,
        user: UserId,
        text: Utf8Bytes,
        now: Instant,
    ) -> bool {
        let key = (room, user);
        let taken = self.writing.len() < WRITING_WAITING_MAX || self.writing.contains_key(&key);
        if taken {
            self.writing.insert(key, (text, now + WRITING_FOR));
        }
        taken
    }

    pub(super) fn presence(&mut self, user: UserId, presence: Presence) {
        self.presence.insert(user, presence);
    }

    pub(super) fn watch(&mut self, people: BTreeMap<UserId, Presence>) {
        self.presence = people;
    }

    /// What there is to say.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Utf8Bytes> {
        let writing = std::mem::take(&mut self.writing).into_values();
        let mut frames: Vec<_> = writing
            .filter(|(_, until)| *until > now)
            .map(|(text, _)| text)
            .collect();
        if !self.presence.is_empty() {
            let people = self.presences().into_iter();
            let people = people.map(|(id, presence)| PersonPresence { id, presence });
            let people = people.collect();
            frames.extend(serialise(&ServerFrame::Presence { people }));
            self.presence = BTreeMap::new();
        }
        frames
    }

    pub(super) fn presences(&self) -> Vec<(UserId, Presence)> {
        self.presence
            .iter()
            .map(|(user, presence)| (*user, *presence))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_one_frame_and_what_is_over_is_none() {
        let mut waiting = Waiting::default();
        let start = Instant::now();
        for text in ["first", "second"] {
            assert!(waiting.writing(RoomId(1), UserId(1), text.into(), start));
        }
        waiting.writing(RoomId(1), UserId(2), "late".into(), start + WRITING_FOR);
        waiting.presence(UserId(1), Presence::Away);
        waiting.presence(UserId(1), Presence::Online);
        let frames = waiting.take(start + WRITING_FOR);
        assert_eq!(
            frames,
            [
                "late",
                r#"{"t":"presence","people":[{"id":1,"presence":"online"}]}"#
            ]
        );
        assert!(waiting.take(start).is_empty());
    }

    #[test]
    fn a_crowd_that_writes_is_bounded() {
        let mut waiting = Waiting::default();
        let now = Instant::now();
        for user in 0..WRITING_WAITING_MAX as u64 {
            assert!(waiting.writing(RoomId(1), UserId(user), "x".into(), now));
        }
        assert!(!waiting.writing(RoomId(2), UserId(1), "x".into(), now));
        assert!(waiting.writing(RoomId(1), UserId(1), "again".into(), now));
        assert_eq!(waiting.take(now).len(), WRITING_WAITING_MAX);
    }
}
