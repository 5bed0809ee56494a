//! What a session does about writing and presence: docs/protocol.md 2.9.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Instant;

use crate::errors::Error;
use crate::frames::{AccountRole, ClientFrame, Person};
use crate::ids::{RoomId, UserId};
use crate::limits::{EPHEMERAL_BURST, EPHEMERAL_PER_SECOND, WATCHED_MAX};

use super::admission::{Bucket, Rate};
use super::session::Session;

/// Of one socket: it costs no commit, so the rate of the person's requests is not touched.
const RATE: Rate = Rate {
    burst: EPHEMERAL_BURST,
    per_second: EPHEMERAL_PER_SECOND,
};

type Asked = Pin<Box<dyn Future<Output = Result<Vec<UserId>, Error>> + Send>>;

/// What a session keeps for it.
pub(super) struct Ephemera {
    bucket: Bucket,
    /// Whom the client wants to watch.
    wanted: Vec<UserId>,
    /// A question for those of them that the person may know of; the latest one counts.
    asked: Option<Asked>,
    /// The role lets the person know of everybody, and has not changed since the session began.
    knows_everybody: bool,
}

impl Ephemera {
    pub(super) fn new(role: AccountRole) -> Self {
        Self {
            bucket: Bucket::new(RATE, Instant::now()),
            wanted: Vec::new(),
            asked: None,
            knows_everybody: !matches!(role, AccountRole::Guest | AccountRole::Bot),
        }
    }

    /// Whom the person may watch of those that were wanted, once that is known.
    pub(super) async fn allowed(&mut self) -> Result<Vec<UserId>, Error> {
        match &mut self.asked {
            Some(asked) => {
                let allowed = asked.as_mut().await;
                self.asked = None;
                allowed
            }
            None => std::future::pending().await,
        }
    }
}

impl Session {
    /// `Err`: the client is told, and does not correctly do what it does.
    pub(super) fn ephemeral(&mut self, frame: ClientFrame) -> Result<(), Error> {
        self.ephemera
            .bucket
            .take(RATE, Instant::now())
            .map_err(|ms| Error::rate_limited("too much about typing and presence", ms))?;
        match frame {
            // Not in the room of the cluster, where nobody writes, and not where one is no more.
            ClientFrame::Typing { room }
                if self.rooms.contains(&room) && room != RoomId::CLUSTER =>
            {
                let (id, name) = (self.person.id, self.person.name.clone());
                self.app.ephemeral.writing(room, Person { id, name });
            }
            ClientFrame::Away { away } => self.app.ephemeral.away(&self.line, away),
            ClientFrame::Watch { people } => {
                if people.len() > WATCHED_MAX {
                    let message = format!("people: at most {WATCHED_MAX} can be watched");
                    return Err(Error::bad_request(message));
                }
                let people: BTreeSet<UserId> = people.into_iter().collect();
                self.ephemera.wanted = people.into_iter().collect();
                self.watch();
            }
            _ => {}
        }
        Ok(())
    }

    /// Watches whom the client wanted, as far as the person may know of them.
    fn watch(&mut self) {
        let wanted = self.ephemera.wanted.clone();
        if self.ephemera.knows_everybody {
            self.ephemera.asked = None;
            self.app.ephemeral.watch(&self.line, wanted);
            return;
        }
        let (app, user) = (Arc::clone(&self.app), self.person.id);
        self.ephemera.asked = Some(Box::pin(async move {
            let people = app.reads.people(user).await?;
            let known: BTreeSet<UserId> = people.iter().map(|one| one.id).collect();
            let wanted = wanted.into_iter();
            Ok(wanted.filter(|one| known.contains(one)).collect())
        }));
    }

    pub(super) fn on_allowed(&self, allowed: Result<Vec<UserId>, Error>) {
        match allowed {
            Ok(people) => self.app.ephemeral.watch(&self.line, people),
            // Nobody is told anything that nobody allowed; the client asks again when it likes.
            Err(error) => {
                self.app.ephemeral.watch(&self.line, Vec::new());
                tracing::debug!(user = %self.person.id, %error, "whom a person may watch");
            }
        }
    }

    /// The role may have changed, or whom a guest may know of.
    pub(super) fn may_know_others(&mut self, role_changed: bool) {
        self.ephemera.knows_everybody &= !role_changed;
        if !self.ephemera.knows_everybody && !self.ephemera.wanted.is_empty() {
            self.watch();
        }
    }
}
