//! Who is there, at this gateway and at the others, and who wants to know it.
//!
//! In: lines that come, go and say that their person is away; announcements of other gateways.
//! Out: changes for the lines that watch a person, and what the other gateways should hear.
//! Must hold: a person is as present as on the most present device. What another gateway said ends
//! with its lease; what this one knows ends a moment after the last line, so that a reload is none.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokio::time::Instant;

use crate::frames::Presence;
use crate::ids::UserId;
use crate::limits::{PRESENCE_GRACE, PRESENCE_LEASE, PRESENCE_LEASES_MAX};
use crate::socket::hub::Line;

/// A person with lines at this gateway, or a moment after the last one.
#[derive(Debug, Default)]
struct Here {
    /// By the line's number: whether the person is away from that device.
    lines: BTreeMap<u64, bool>,
    /// When the last line has gone: until when the person still counts as there.
    until: Option<Instant>,
    /// How the last line was.
    was_away: bool,
}

impl Here {
    fn presence(&self) -> Presence {
        let away = if self.lines.is_empty() {
            self.was_away
        } else {
            self.lines.values().all(|away| *away)
        };
        if away {
            Presence::Away
        } else {
            Presence::Online
        }
    }
}

/// What another gateway said.
#[derive(Clone, Copy, Debug)]
struct Lease {
    presence: Presence,
    until: Instant,
}

/// Everybody of whom this gateway knows.
#[derive(Debug, Default)]
pub(super) struct Everybody {
    here: HashMap<UserId, Here>,
    /// By person and gateway.
    elsewhere: BTreeMap<(UserId, u64), Lease>,
    /// Who is told of a person.
    watchers: HashMap<UserId, Vec<Arc<Line>>>,
    /// Of whom a line is told.
    watched: HashMap<u64, Vec<UserId>>,
    /// People of this gateway who changed since the last tick.
    changed: BTreeSet<UserId>,
}

impl Everybody {
    /// How a person is, over all gateways.
    fn of(&self, user: UserId) -> Presence {
        let here = self.here.get(&user).map(Here::presence);
        let elsewhere = self.elsewhere.range((user, 0)..=(user, u64::MAX));
        let elsewhere = elsewhere.map(|(_, lease)| lease.presence);
        here.into_iter()
            .chain(elsewhere)
            .min()
            .unwrap_or(Presence::Offline)
    }

    /// Changes what is known of a person, and tells it if it makes a difference.
    fn change<T>(&mut self, user: UserId, change: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.of(user);
        let done = change(self);
        let now = self.of(user);
        if before != now {
            for line in self.watchers.get(&user).into_iter().flatten() {
                line.outbox.push_presence(user, now);
            }
        }
        done
    }

    /// See [`super::Ephemeral::enter`].
    pub(super) fn enter(&mut self, line: &Line) {
        self.line(line, false);
    }

    /// See [`super::Ephemeral::away`].
    pub(super) fn away(&mut self, line: &Line, away: bool) {
        self.line(line, away);
    }

    fn line(&mut self, line: &Line, away: bool) {
        let user = line.user;
        self.change(user, |all| {
            let here = all.here.entry(user).or_default();
            here.lines.insert(line.id, away);
            here.until = None;
        });
        self.changed.insert(user);
    }

    /// See [`super::Ephemeral::leave`].
    pub(super) fn leave(&mut self, line: &Line, now: Instant) {
        let user = line.user;
        self.unwatch(line);
        self.change(user, |all| {
            let Some(here) = all.here.get_mut(&user) else {
                return;
            };
            let Some(away) = here.lines.remove(&line.id) else {
                return;
            };
            if here.lines.is_empty() {
                here.was_away = away;
                here.until = Some(now + PRESENCE_GRACE);
            }
        });
        self.changed.insert(user);
    }

    /// See [`super::Ephemeral::watch`].
    pub(super) fn watch(&mut self, line: &Arc<Line>, people: Vec<UserId>) {
        self.unwatch(line);
        let now = people.iter().map(|user| (*user, self.of(*user)));
        line.outbox.watch(now.collect());
        for user in &people {
            let watchers = self.watchers.entry(*user).or_default();
            watchers.push(Arc::clone(line));
        }
        self.watched.insert(line.id, people);
    }

    fn unwatch(&mut self, line: &Line) {
        for user in self.watched.remove(&line.id).unwrap_or_default() {
            if let Some(watchers) = self.watchers.get_mut(&user) {
                watchers.retain(|other| other.id != line.id);
                if watchers.is_empty() {
                    self.watchers.remove(&user);
                }
            }
        }
    }

    /// Another gateway said how people are there.
    pub(super) fn heard(
        &mut self,
        gateway: u64,
        people: impl Iterator<Item = (UserId, Presence)>,
        now: Instant,
    ) {
        let until = now + PRESENCE_LEASE;
        for (user, presence) in people {
            let key = (user, gateway);
            self.change(user, |all| {
                if presence == Presence::Offline {
                    all.elsewhere.remove(&key);
                } else if all.elsewhere.len() < PRESENCE_LEASES_MAX
                    || all.elsewhere.contains_key(&key)
                {
                    all.elsewhere.insert(key, Lease { presence, until });
                }
            });
        }
    }

    /// Ends what is over. Gives the people of this gateway who changed.
    pub(super) fn tick(&mut self, now: Instant) -> Vec<(UserId, Presence)> {
        let gone = self.here.iter().filter_map(|(user, here)| {
            let over = here.until.is_some_and(|until| until <= now);
            over.then_some(*user)
        });
        for user in gone.collect::<Vec<_>>() {
            self.change(user, |all| all.here.remove(&user));
            self.changed.insert(user);
        }
        let ended = self
            .elsewhere
            .iter()
            .filter(|(_, lease)| lease.until <= now);
        for key in ended.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.change(key.0, |all| all.elsewhere.remove(&key));
        }
        let changed = std::mem::take(&mut self.changed);
        let now = |user| (user, self.presence_here(user));
        changed.into_iter().map(now).collect()
    }

    fn presence_here(&self, user: UserId) -> Presence {
        self.here
            .get(&user)
            .map_or(Presence::Offline, Here::presence)
    }

    /// Everybody at this gateway.
    pub(super) fn here(&self) -> Vec<(UserId, Presence)> {
        let here = self.here.iter();
        here.map(|(user, here)| (*user, here.presence())).collect()
    }
}

#[cfg(test)]
mod tests;
