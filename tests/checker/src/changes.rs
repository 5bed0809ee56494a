//! What people asked to change, and every text under which a message was shown.

use std::collections::HashMap;

use uuid::Uuid;

use crate::event::Row;

/// A change of a message that a client asked for.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) author: u64,
    pub(crate) cid: Uuid,
    pub(crate) room: u64,
    /// The message, by its `seq`.
    pub(crate) of: u64,
    /// [`crate::digest`] of the new text; nothing when it was deleted.
    pub(crate) body: Option<u64>,
    pub(crate) asked_at: u64,
    /// When it was answered, and with which slot.
    pub(crate) done: Option<(u64, u64)>,
    /// When it was refused for good.
    pub(crate) refused_at: Option<u64>,
}

/// Which text of a message: the `seq` of the edit that gave it, 0 for the one it was sent with.
pub(crate) type Version = u64;

/// The version of a tombstone: no edit comes after it.
pub(crate) const DELETED: Version = Version::MAX;

/// A form of a message that somebody was shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// [`crate::digest`] of its text.
    pub(crate) body: u64,
    /// Of all pages that had the message in this form, the highest head that one told: what had
    /// changed the message up to there must be in the form. 0 when no page had it.
    pub(crate) head: u64,
    /// Who was shown it first, in the order of reading: an index into the clients.
    pub(crate) by: usize,
    pub(crate) at: u64,
}

/// What a client was told about its own reading of a room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) by: usize,
    pub(crate) user: u64,
    pub(crate) at: u64,
    pub(crate) room: u64,
    pub(crate) head: u64,
    pub(crate) read: u64,
    pub(crate) unread: u64,
    pub(crate) more: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// In the order in which their authors asked for them, one history after the other.
    pub(crate) asked: Vec<Change>,
    /// By author and `cid`.
    pub(crate) by_cid: HashMap<(u64, Uuid), usize>,
    /// By room, `seq` of the message, and version.
    pub(crate) forms: HashMap<(u64, u64, Version), Form>,
    pub(crate) claims: Vec<Claim>,
}

impl Changes {
    /// Notes in which form a row was shown. Returns the form in which somebody else was shown the
    /// same version, when it has another text. `head`: of the page that has the row, else 0.
    pub(crate) fn show(
        &mut self,
        room: u64,
        row: &Row,
        head: u64,
        (by, at): (usize, u64),
    ) -> Option<Form> {
        let (key, body) = match (row.message, row.change) {
            (Some(message), _) if message.deleted => ((room, row.seq, DELETED), message.body),
            (Some(message), _) => ((room, row.seq, message.edited), message.body),
            (None, Some(change)) => ((room, change.of, row.seq), change.body?),
            (None, None) => return None,
        };
        // An edit's own row tells nothing about the form of its message.
        let head = if row.message.is_some() { head } else { 0 };
        let form = self.forms.entry(key).or_insert(Form { body, head, by, at });
        form.head = form.head.max(head);
        (form.body != body).then_some(*form)
    }

    /// The text with which a message was sent, if it was shown so.
    pub(crate) fn original(&self, room: u64, seq: u64) -> Option<Form> {
        self.forms.get(&(room, seq, 0)).copied()
    }
}
