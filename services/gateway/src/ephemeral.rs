//! What may be lost: who is writing, who is there. It goes through no log and no disk.
//!
//! In: what sessions say of their people, what other gateways whisper through the replicas. Out:
//! frames of the ephemeral class, the first that a slow client goes without.
//! Must hold: nobody waits for any of it. What was lost heals by itself: writing by the next word,
//! presence by the next announcement; what is never heard again ends with its lease.

mod presence;
mod relay;

use std::sync::{Arc, Mutex, PoisonError};

use proto::v1::{Newcomer, PersonPresence, Presences, Whisper, Writing, whisper::Kind};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::channels::Channels;
use crate::cluster::Cluster;
use crate::frames::{Person, Presence, ServerFrame};
use crate::ids::{RoomId, UserId};
use crate::limits::{
    PRESENCE_ANNOUNCE, PRESENCE_FLUSH, PRESENCE_PEOPLE_PER_WHISPER, WRITING_RELAYED_BURST,
    WRITING_RELAYED_PER_SECOND,
};
use crate::socket::admission::{Bucket, Rate};
use crate::socket::hub::{Hub, Line};
use crate::socket::outbox::serialise;

use presence::Everybody;
use relay::Relay;

/// What is relayed of the writing at this gateway.
const WRITING_RATE: Rate = Rate {
    burst: WRITING_RELAYED_BURST,
    per_second: WRITING_RELAYED_PER_SECOND,
};

/// One per gateway.
#[derive(Debug)]
pub(crate) struct Ephemeral {
    hub: Arc<Hub>,
    everybody: Mutex<Everybody>,
    relay: Relay,
    writing: Mutex<Bucket>,
}

impl Ephemeral {
    /// Connects to the replicas and begins to listen.
    pub(crate) fn start(cluster: Cluster, channels: Arc<Channels>, hub: Arc<Hub>) -> Arc<Self> {
        let (relay, heard) = Relay::start(cluster, channels);
        let ephemeral = Arc::new(Self {
            hub,
            everybody: Mutex::default(),
            relay,
            writing: Mutex::new(Bucket::new(WRITING_RATE, Instant::now())),
        });
        tokio::spawn(Arc::clone(&ephemeral).run(heard));
        ephemeral
    }

    fn everybody(&self) -> std::sync::MutexGuard<'_, Everybody> {
        self.everybody
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    // --- The sessions' side ---

    /// A session has begun.
    pub(crate) fn enter(&self, line: &Line) {
        self.everybody().enter(line);
    }

    /// A socket is gone.
    pub(crate) fn leave(&self, line: &Line) {
        self.everybody().leave(line, Instant::now());
    }

    /// The person went away from this device, or came back to it.
    pub(crate) fn away(&self, line: &Line, away: bool) {
        self.everybody().away(line, away);
    }

    /// From now on the line is told how these people are, and no others.
    pub(crate) fn watch(&self, line: &Arc<Line>, people: Vec<UserId>) {
        self.everybody().watch(line, people);
    }

    /// A member of the room is writing there: the other members hear it, wherever they are.
    pub(crate) fn writing(&self, room: RoomId, person: Person) {
        let mut bucket = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let relayed = bucket.take(WRITING_RATE, Instant::now()).is_ok();
        drop(bucket);
        if relayed {
            self.relay.say(Kind::Writing(Writing {
                room: room.0,
                user: person.id.0,
                name: person.name.clone(),
            }));
        }
        self.show_writing(room, person);
    }

    fn show_writing(&self, room: RoomId, person: Person) {
        let user = person.id;
        if let Some(text) = serialise(&ServerFrame::Typing { room, person }) {
            self.hub.writing(room, user, &text);
        }
    }

    // --- The relay's side ---

    async fn run(self: Arc<Self>, mut heard: mpsc::Receiver<relay::Heard>) {
        let mut flush = interval(PRESENCE_FLUSH);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut announce_at = Instant::now();
        loop {
            tokio::select! {
                news = heard.recv() => match news {
                    // With the next flush, however many come at once.
                    Some(relay::Heard::Whisper(Whisper { kind: Some(Kind::Newcomer(_)), .. })) => {
                        announce_at = Instant::now();
                    }
                    Some(relay::Heard::Whisper(whisper)) => self.heard(whisper),
                    // Everybody here is new to whoever is there, and the other way round.
                    Some(relay::Heard::Connected) => {
                        self.relay.say(Kind::Newcomer(Newcomer {}));
                        announce_at = Instant::now();
                    }
                    None => return,
                },
                _ = flush.tick() => {
                    let now = Instant::now();
                    if announce_at <= now {
                        announce_at = now + PRESENCE_ANNOUNCE;
                        let here = self.everybody().here();
                        self.announce(here);
                    }
                    let changed = self.everybody().tick(now);
                    self.announce(changed);
                }
            }
        }
    }

    fn heard(&self, whisper: Whisper) {
        match whisper.kind {
            Some(Kind::Writing(writing)) => {
                let (id, name) = (UserId(writing.user), writing.name);
                self.show_writing(RoomId(writing.room), Person { id, name });
            }
            Some(Kind::Presences(presences)) => {
                let people = presences.people.iter().filter_map(|one| {
                    Some((UserId(one.user), Presence::from_wire(one.presence())?))
                });
                self.everybody()
                    .heard(whisper.gateway, people, Instant::now());
            }
            // `None`: of a version that whispers more.
            Some(Kind::Newcomer(_)) | None => {}
        }
    }

    fn announce(&self, people: Vec<(UserId, Presence)>) {
        for piece in people.chunks(PRESENCE_PEOPLE_PER_WHISPER) {
            let people = piece.iter().map(|(user, presence)| PersonPresence {
                user: user.0,
                presence: presence.to_wire().into(),
            });
            let people = people.collect();
            self.relay.say(Kind::Presences(Presences { people }));
        }
    }
}
