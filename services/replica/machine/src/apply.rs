//! Applies one entry: its commands in order, each with its answer and its effects.
//!
//! In: an entry and an open transaction. Out: [`AppliedEntry`]. Must hold: the result is a
//! function of the state and the entry alone (no clock, no randomness, no iteration over an
//! unordered collection); a refused command changes nothing but the memory of its refusal.
//! Tests: tests/properties.rs, tests/refusals.rs.

use bytes::Bytes;
use paxos::config::Configuration;
use paxos::entry::{Entry, EntryKind};
use paxos::ids::{Slot, Timestamp};
use prost::Message as _;
use proto::v1::{Batch, Command, Effect, Outcome, command, outcome};
use rusqlite::Connection;

use crate::cache::Cache;
use crate::error::{Fault, Stop};
use crate::hot::Hot;
use crate::ids::{EventId, UserId};
use crate::refusal::Reason;
use crate::senders::Turn;
use crate::{AppliedEntry, Error, dedupe, limits, nodes};

/// What a command did.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) result: outcome::Result,
    /// The event that holds the answer, for a posted message.
    pub(crate) event: Option<EventId>,
}

impl From<outcome::Result> for Answer {
    fn from(result: outcome::Result) -> Self {
        Self {
            result,
            event: None,
        }
    }
}

/// One entry being applied. The commands are methods on it, in accounts.rs, sessions.rs,
/// profiles.rs, invitations.rs, rooms.rs, direct.rs, manage.rs, events.rs, changes.rs, markers.rs,
/// wishes.rs and notices.rs.
pub(crate) struct Context<'a> {
    /// Inside a transaction.
    pub(crate) connection: &'a Connection,
    pub(crate) hot: Hot<'a>,
    pub(crate) cache: &'a mut Cache,
    pub(crate) slot: Slot,
    pub(crate) timestamp: Timestamp,
    /// So far in this slot, in order. Their number is the next one's place in the slot.
    pub(crate) effects: Vec<Effect>,
}

/// Whether this program knows the kind of the command. A leader must ask before it proposes:
/// what it does not know would stop every replica that has to apply it.
#[must_use]
pub fn understands(command: &Command) -> bool {
    command.body.is_some()
}

/// The payload of an entry of kind `Batch`.
#[must_use]
pub fn encode_batch(commands: Vec<Command>) -> Bytes {
    // The lowest that has everything in it, for the sake of a program that knows no higher one.
    let version = commands.iter().map(version_of).max();
    let version = version.unwrap_or(limits::BATCH_VERSION_PLAIN);
    Bytes::from(Batch { version, commands }.encode_to_vec())
}

/// The lowest version of a batch that can hold the command.
const fn version_of(command: &Command) -> u32 {
    if needs_wishes(command) {
        limits::BATCH_VERSION
    } else if needs_roles(command) {
        limits::BATCH_VERSION_ROLES
    } else if is_about_messages(command) {
        limits::BATCH_VERSION_MESSAGES
    } else if matches!(command.body, Some(command::Body::PostNotice(_))) {
        limits::BATCH_VERSION_NOTICES
    } else if needs_sender_sessions(command) {
        limits::BATCH_VERSION_SENDERS
    } else {
        limits::BATCH_VERSION_PLAIN
    }
}

const fn is_about_messages(command: &Command) -> bool {
    use command::Body;
    matches!(
        command.body,
        Some(
            Body::EditMessage(_)
                | Body::DeleteMessage(_)
                | Body::AddReaction(_)
                | Body::RemoveReaction(_)
                | Body::PinMessage(_)
                | Body::UnpinMessage(_)
                | Body::MarkRead(_)
        )
    )
}

/// Whether a program of format 6 could not have made it.
const fn needs_wishes(command: &Command) -> bool {
    use command::Body;
    matches!(
        command.body,
        Some(Body::TakeAwayMessage(_) | Body::SetRoomWishes(_) | Body::ResetPassword(_))
    )
}

/// Whether a program of format 5 could not have made it.
const fn needs_roles(command: &Command) -> bool {
    use command::Body;
    match &command.body {
        Some(Body::CreateAccount(create)) => {
            !create.password.is_empty()
                || !create.invitation.is_empty()
                || !create.device.is_empty()
        }
        Some(Body::CreateRoom(create)) => create.private,
        Some(
            Body::CreateSession(_)
            | Body::SetPassword(_)
            | Body::ChangeProfile(_)
            | Body::SetActive(_)
            | Body::SetRole(_)
            | Body::SetSignUpMode(_)
            | Body::CreateInvitation(_)
            | Body::RevokeInvitation(_)
            | Body::OpenDirectRoom(_)
            | Body::AddMember(_)
            | Body::RemoveMember(_)
            | Body::RenameRoom(_)
            | Body::SetTopic(_)
            | Body::ArchiveRoom(_),
        ) => true,
        _ => false,
    }
}

const fn needs_sender_sessions(command: &Command) -> bool {
    use command::Body;
    command.sender_session != 0
        || command.sender_seq != 0
        || matches!(
            command.body,
            Some(Body::OpenSenderSession(_) | Body::CloseSenderSession(_))
        )
}

/// Applies an entry. `active`: the configuration after it, as far as the log holds it.
pub(crate) fn apply_entry(
    connection: &Connection,
    cache: &mut Cache,
    entry: &Entry,
    active: Option<&Configuration>,
) -> Result<AppliedEntry, Fault> {
    let (slot, timestamp) = (entry.slot, entry.timestamp);
    let (mut commands, mut registration) = (Vec::new(), None);
    match entry.kind {
        EntryKind::Batch => commands = decode_batch(entry)?,
        EntryKind::RegisterNode => registration = Some(nodes::register(connection, entry)?),
        // What a seal means is in epochs.rs, and a line (below); the others have no meaning for
        // the state.
        EntryKind::Noop | EntryKind::Seal | EntryKind::Ready => {}
        // Sender sessions are opened by commands, which share a slot and have a cid.
        EntryKind::RegisterSession => return Err(Error::UnknownKind { slot }.into()),
    }
    let mut context = Context {
        connection,
        hot: Hot::default(),
        cache,
        slot,
        timestamp,
        effects: Vec::new(),
    };
    if let (EntryKind::Seal, Some(next)) = (entry.kind, active) {
        context.voters_changed(next)?;
    }
    let mut outcomes = Vec::with_capacity(commands.len());
    for (index, command) in commands.into_iter().enumerate() {
        outcomes.push(context.command(index, command)?);
    }
    let effects = context.effects;
    Ok(AppliedEntry {
        slot,
        timestamp,
        outcomes,
        effects,
        registration,
    })
}

fn decode_batch(entry: &Entry) -> Result<Vec<Command>, Error> {
    let slot = entry.slot;
    let batch = Batch::decode(entry.payload.clone())
        .map_err(|source| Error::Unreadable { slot, source })?;
    let known = limits::BATCH_VERSION;
    // 0 is what a batch without a version decodes to: nobody makes one.
    if !(1..=known).contains(&batch.version) {
        return Err(Error::UnknownVersion {
            slot,
            found: batch.version,
            known,
        });
    }
    let mut commands = batch.commands;
    if batch.version < limits::BATCH_VERSION {
        // As a program of format 6 reads it.
        for command in commands.iter_mut().filter(|command| needs_wishes(command)) {
            command.body = None;
        }
    }
    if batch.version < limits::BATCH_VERSION_ROLES {
        commands.iter_mut().for_each(forget_roles);
    }
    if batch.version < limits::BATCH_VERSION_MESSAGES {
        // As a program without changes of messages reads it.
        for command in &mut commands {
            if is_about_messages(command) {
                command.body = None;
            }
        }
    }
    if batch.version < limits::BATCH_VERSION_NOTICES {
        // As a program without notices reads it.
        for command in &mut commands {
            if matches!(command.body, Some(command::Body::PostNotice(_))) {
                command.body = None;
            }
        }
    }
    if batch.version == limits::BATCH_VERSION_PLAIN {
        // As a program without sender sessions reads it: the fields do not exist, and such a
        // command is unknown.
        for command in &mut commands {
            (command.sender_session, command.sender_seq) = (0, 0);
            if needs_sender_sessions(command) {
                command.body = None;
            }
        }
    }
    Ok(commands)
}

/// As a program of format 5 reads it: the fields do not exist, and such a command is unknown.
fn forget_roles(command: &mut Command) {
    if let Some(command::Body::CreateAccount(create)) = &mut command.body {
        create.password.clear();
        create.invitation.clear();
        create.device.clear();
    } else if let Some(command::Body::CreateRoom(create)) = &mut command.body {
        create.private = false;
    } else if needs_roles(command) {
        command.body = None;
    }
}

impl Context<'_> {
    fn command(&mut self, index: usize, command: Command) -> Result<Outcome, Fault> {
        let slot = self.slot;
        let Command {
            cid,
            author,
            sender_session,
            sender_seq,
            body,
        } = command;
        let Some(body) = body else {
            return Err(Error::UnknownCommand { slot, index }.into());
        };
        let author = UserId(author);
        if cid.len() != limits::CID_BYTES {
            // Nothing to remember it by, and no need: it is refused every time.
            let refusal = outcome::Result::Refusal(Reason::CidLength.to_refusal());
            return Ok(outcome(&cid, author, slot, false, refusal));
        }
        let first = dedupe::find(self.connection, &mut self.hot, &cid, author)?;
        let turn = Turn::of(sender_session, sender_seq);
        if let Some(refusal) = self.out_of_turn(author, turn, first.is_some())? {
            let refusal = outcome::Result::Refusal(refusal);
            return Ok(outcome(&cid, author, slot, false, refusal));
        }
        let outcome = match first {
            Some(first) => outcome(&cid, author, first.slot, true, first.result),
            None => {
                let result = self.first_time(index, author, &cid, body)?;
                outcome(&cid, author, slot, false, result)
            }
        };
        if let Some(turn) = turn {
            self.take_turn(author, turn)?;
        }
        Ok(outcome)
    }

    /// Carries the command out and remembers its answer.
    fn first_time(
        &mut self,
        index: usize,
        author: UserId,
        cid: &[u8],
        body: command::Body,
    ) -> Result<outcome::Result, Fault> {
        let slot = self.slot;
        let effects_before = self.effects.len();
        let result = match self.execute(index, author, cid, body) {
            Ok(answer) => {
                dedupe::remember(self.connection, &mut self.hot, cid, author, slot, &answer)?;
                answer.result
            }
            Err(Stop::Refused(reason)) => {
                assert_eq!(
                    self.effects.len(),
                    effects_before,
                    "a refused command has no effect"
                );
                dedupe::remember_refusal(
                    self.connection,
                    &mut self.hot,
                    cid,
                    author,
                    slot,
                    reason,
                )?;
                outcome::Result::Refusal(reason.to_refusal())
            }
            Err(Stop::Fault(fault)) => return Err(fault),
        };
        let effects = self.effects.len() - effects_before;
        assert!(
            effects <= limits::COMMAND_EFFECTS_MAX,
            "a command had {effects} effects"
        );
        Ok(result)
    }

    fn execute(
        &mut self,
        index: usize,
        author: UserId,
        cid: &[u8],
        body: command::Body,
    ) -> Result<Answer, Stop> {
        let has_account = !matches!(
            body,
            command::Body::CreateAccount(_) | command::Body::PostNotice(_)
        );
        let account = self.cache.account(self.connection, author)?;
        if has_account && !account.is_some_and(|account| account.active) {
            return Err(Stop::Refused(Reason::NotSignedIn));
        }
        match body {
            command::Body::CreateAccount(command) => self.create_account(author, &command),
            command::Body::RevokeSession(command) => self.revoke_session(author, &command),
            command::Body::OpenSenderSession(_) => self.open_sender_session(author, index),
            command::Body::CloseSenderSession(command) => {
                self.close_sender_session(author, command)
            }
            command::Body::CreateRoom(command) => self.create_room(author, &command),
            command::Body::JoinRoom(command) => self.join_room(author, &command),
            command::Body::LeaveRoom(command) => self.leave_room(author, &command),
            command::Body::PostMessage(command) => self.post_message(author, cid, command),
            command::Body::PostNotice(command) => self.post_notice(author, cid, command),
            command::Body::EditMessage(command) => self.edit_message(author, command),
            command::Body::DeleteMessage(command) => self.delete_message(author, command),
            command::Body::AddReaction(command) => self.add_reaction(author, command),
            command::Body::RemoveReaction(command) => self.remove_reaction(author, command),
            command::Body::PinMessage(command) => self.pin_message(author, command),
            command::Body::UnpinMessage(command) => self.unpin_message(author, command),
            command::Body::MarkRead(command) => self.mark_read(author, &command),
            command::Body::CreateSession(command) => self.sign_in(author, &command),
            command::Body::SetPassword(command) => self.set_password(author, &command),
            command::Body::ChangeProfile(command) => self.change_profile(author, &command),
            command::Body::SetActive(command) => self.set_active(author, &command),
            command::Body::SetRole(command) => self.set_role(author, &command),
            command::Body::SetSignUpMode(command) => self.set_sign_up_mode(author, command),
            command::Body::CreateInvitation(command) => self.create_invitation(author, &command),
            command::Body::RevokeInvitation(command) => self.revoke_invitation(author, command),
            command::Body::OpenDirectRoom(command) => self.open_direct_room(author, &command),
            command::Body::AddMember(command) => self.add_member(author, command),
            command::Body::RemoveMember(command) => self.remove_member(author, command),
            command::Body::RenameRoom(command) => self.rename_room(author, &command),
            command::Body::SetTopic(command) => self.set_topic(author, &command),
            command::Body::ArchiveRoom(command) => self.archive_room(author, command),
            command::Body::TakeAwayMessage(command) => self.take_away_message(author, command),
            command::Body::SetRoomWishes(command) => self.set_room_wishes(author, &command),
            command::Body::ResetPassword(command) => self.reset_password(author, &command),
        }
    }
}

fn outcome(
    cid: &[u8],
    author: UserId,
    slot: Slot,
    duplicate: bool,
    result: outcome::Result,
) -> Outcome {
    Outcome {
        cid: cid.to_vec(),
        author: author.0,
        slot: slot.0,
        duplicate,
        result: Some(result),
    }
}
