//! What the small state machine keeps of rooms and accounts.

use std::collections::BTreeSet;

use proto::v1::{Profile, Role, RoomEvent, RoomKind};

#[derive(Debug, Default)]
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) members: BTreeSet<u64>,
    pub(crate) events: Vec<RoomEvent>,
    pub(crate) messages: u64,
    /// That of the cluster.
    pub(crate) system: bool,
    pub(crate) kind: RoomKind,
    pub(crate) topic: String,
    pub(crate) archived: bool,
}

impl Room {
    /// Unless something else was asked for it is public.
    pub(crate) fn wire_kind(&self) -> RoomKind {
        match self.kind {
            RoomKind::Unspecified => RoomKind::Public,
            other => other,
        }
    }
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) useq: u64,
    pub(crate) role: Role,
    pub(crate) colour: u32,
    pub(crate) password: String,
    pub(crate) password_slot: u64,
    pub(crate) inactive: bool,
}

impl Account {
    pub(crate) fn profile(&self) -> Profile {
        Profile {
            role: self.role.into(),
            colour: self.colour,
            has_password: !self.password.is_empty(),
        }
    }
}
