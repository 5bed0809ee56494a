//! Who is there.

use serde::{Deserialize, Serialize};

use crate::ids::UserId;

/// How a person is, on the most present of all devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// A page is open and in use.
    Online,
    /// A page is open, and nobody has touched it of late.
    Away,
    /// No page is open.
    Offline,
}

impl Presence {
    /// As another gateway says it; `None`: a word of a later version.
    pub(crate) fn from_wire(presence: proto::v1::Presence) -> Option<Self> {
        match presence {
            proto::v1::Presence::Online => Some(Self::Online),
            proto::v1::Presence::Away => Some(Self::Away),
            proto::v1::Presence::Offline => Some(Self::Offline),
            proto::v1::Presence::Unspecified => None,
        }
    }

    /// As other gateways hear it.
    pub(crate) fn to_wire(self) -> proto::v1::Presence {
        match self {
            Self::Online => proto::v1::Presence::Online,
            Self::Away => proto::v1::Presence::Away,
            Self::Offline => proto::v1::Presence::Offline,
        }
    }
}

/// How one person is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PersonPresence {
    /// Who.
    pub id: UserId,
    /// How.
    pub presence: Presence,
}
