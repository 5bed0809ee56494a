//! Sender sessions: in which order the commands of one sender take effect (section 2.6 of the
//! design, invariant I11).
//!
//! A sender (a tab, a bot) opens a session through the log and numbers its commands 1, 2, 3 … in
//! it. The state machine answers only the number after the last answered one; so whatever a
//! gateway, a leader or the network did to their order, the commands take effect in the sender's
//! order and without a gap.
//!
//! - The number after the last one: the command is executed. Whatever it answers, a refusal too,
//!   is that number's answer, and the next one may come.
//! - A copy, a command whose `(author, cid)` was answered before: the first answer, from the
//!   memory of answers (dedupe.rs). A sender that does not know whether its command arrived sends
//!   it again with the same cid, in this session or in another. If the number is the next one, the
//!   copy takes it: a sender that had to open a new session numbers its unanswered commands anew,
//!   and does not know which of them had taken effect.
//! - A higher number, of a copy too: [`Reason::SequenceGap`]. It is **not** the answer of that
//!   number, nor of the cid: once what is missing was answered, the same command is executed. (A
//!   client table that remembers more than was executed is trap 12.)
//! - A number that was answered, with a cid that was not: [`Reason::SequenceUsed`]. The sender has
//!   lost count. Executing it would put it out of order, so it is not, and not remembered either.
//! - A session that is closed or never was, or another author's: [`Reason::SenderSessionClosed`].
//!   Never executed, and not remembered: with the same cid it can go into a new session, where it
//!   takes effect once, because the memory of answers is not tied to a session.
//!
//! Not remembering these three is safe, unlike other refusals: a copy in flight carries the same
//! session and number, so it is refused again until the order is right, and when it is right the
//! command was never given up by its sender.
//!
//! Sessions are closed by commands only, so by decision of the log: by the sender, or by opening
//! more than [`limits::SENDER_SESSIONS_MAX`], which closes the author's oldest (lowest id). No
//! clock closes one. Tests: tests/senders.rs.

use std::cmp::Ordering;

use proto::v1::{CloseSenderSession, Done, Refusal, SenderSessionOpened, outcome};
use rusqlite::params;

use crate::apply::{Answer, Context};
use crate::error::{Fault, Stop};
use crate::ids::{EventId, SenderSessionId, UserId, from_sql, next, to_sql};
use crate::refusal::Reason;
use crate::{Error, limits};

/// A command's place in the order of its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Turn {
    session: SenderSessionId,
    seq: u64,
}

impl Turn {
    /// As the command says; `None` for one that has no order.
    pub(crate) const fn of(session: u64, seq: u64) -> Option<Self> {
        if session == 0 && seq == 0 {
            return None;
        }
        let session = SenderSessionId(session);
        Some(Self { session, seq })
    }
}

impl Context<'_> {
    /// The refusal of a command that comes out of order, which must not be remembered.
    /// `is_known`: its answer is remembered already, so nothing would be executed.
    pub(crate) fn out_of_turn(
        &mut self,
        author: UserId,
        turn: Option<Turn>,
        is_known: bool,
    ) -> Result<Option<Refusal>, Fault> {
        let Some(turn) = turn else { return Ok(None) };
        let found = self.cache.sender_session(self.connection, turn.session)?;
        let Some(session) = found.filter(|session| session.author == author) else {
            let closed = Reason::SenderSessionClosed.to_refusal();
            return Ok((!is_known).then_some(closed));
        };
        let next_sender_seq = next(session.last_seq)?;
        let reason = match turn.seq.cmp(&next_sender_seq) {
            Ordering::Equal => return Ok(None),
            Ordering::Less if is_known => return Ok(None),
            Ordering::Less => Reason::SequenceUsed,
            // A copy as well: were it answered, its number would still be missing here.
            Ordering::Greater => Reason::SequenceGap,
        };
        Ok(Some(Refusal {
            next_sender_seq,
            ..reason.to_refusal()
        }))
    }

    /// The command was answered: if its number was the next one, the session goes on. A command
    /// may have closed its own session.
    pub(crate) fn take_turn(&mut self, author: UserId, turn: Turn) -> Result<(), Fault> {
        let found = self.cache.sender_session(self.connection, turn.session)?;
        let own = found.filter(|session| session.author == author);
        if let Some(mut session) = own
            && turn.seq == next(session.last_seq)?
        {
            session.last_seq = turn.seq;
            self.cache.advance(turn.session, session);
        }
        Ok(())
    }

    /// A new session of the author's, and room for it. `index` is the command's place in the batch.
    pub(crate) fn open_sender_session(
        &mut self,
        author: UserId,
        index: usize,
    ) -> Result<Answer, Stop> {
        let slot = self.slot;
        let id = EventId::new(slot, index as u64).ok_or(Error::Unnumberable { slot })?;
        let id = SenderSessionId(id.number());
        self.connection
            .prepare_cached(
                "INSERT INTO sender_sessions (id, author, last_seq) VALUES (?1, ?2, 0)",
            )?
            .execute(params![to_sql(id.0), to_sql(author.0)])?;
        let surplus: Vec<i64> = self
            .connection
            .prepare_cached(
                "SELECT id FROM sender_sessions WHERE author = ?1 ORDER BY id DESC
                 LIMIT -1 OFFSET ?2",
            )?
            .query_map(
                params![to_sql(author.0), limits::SENDER_SESSIONS_MAX as i64],
                |row| row.get(0),
            )?
            .collect::<rusqlite::Result<_>>()?;
        for oldest in surplus {
            self.close(SenderSessionId(from_sql(oldest)))?;
        }
        let opened = SenderSessionOpened { session: id.0 };
        Ok(outcome::Result::SenderSessionOpened(opened).into())
    }

    /// Ends a session of the author's. One that does not exist is ended already.
    pub(crate) fn close_sender_session(
        &mut self,
        author: UserId,
        command: CloseSenderSession,
    ) -> Result<Answer, Stop> {
        let session = SenderSessionId(command.session);
        if let Some(found) = self.cache.sender_session(self.connection, session)? {
            if found.author != author {
                return Err(Stop::Refused(Reason::ForeignSession));
            }
            self.close(session)?;
        }
        Ok(outcome::Result::Done(Done {}).into())
    }

    fn close(&mut self, session: SenderSessionId) -> Result<(), Fault> {
        let deleted = self
            .connection
            .prepare_cached("DELETE FROM sender_sessions WHERE id = ?1")?
            .execute([to_sql(session.0)])?;
        if deleted != 1 {
            return Err(Fault::Damaged(format!("{session} is open and is not")));
        }
        self.cache.forget_sender_session(session);
        Ok(())
    }
}
