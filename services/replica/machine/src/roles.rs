//! What an account may do.
//!
//! Must hold: somebody can always give rights, so the last active owner stays one.

use proto::v1;
use rusqlite::Connection;

/// Values of `accounts.role`, which are those of the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Role {
    /// May everything. The first account.
    Owner = 1,
    /// Manages people below admin, and invitations.
    Admin = 2,
    /// Manages rooms.
    Moderator = 3,
    /// Makes rooms, joins public ones, invites.
    Member = 4,
    /// Reads and writes where it was invited to, and sees nothing else.
    Guest = 5,
    /// A program; sees what a guest sees.
    Bot = 6,
}

impl Role {
    const ALL: [Self; 6] = [
        Self::Owner,
        Self::Admin,
        Self::Moderator,
        Self::Member,
        Self::Guest,
        Self::Bot,
    ];

    /// From a row or from the wire.
    pub(crate) fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.number() == number)
    }

    pub(crate) const fn number(self) -> i64 {
        self as i64
    }

    /// As the wire has it.
    #[must_use]
    pub const fn to_wire(self) -> v1::Role {
        match self {
            Self::Owner => v1::Role::Owner,
            Self::Admin => v1::Role::Admin,
            Self::Moderator => v1::Role::Moderator,
            Self::Member => v1::Role::Member,
            Self::Guest => v1::Role::Guest,
            Self::Bot => v1::Role::Bot,
        }
    }

    /// May see and join public rooms, make rooms, invite.
    pub(crate) const fn is_insider(self) -> bool {
        matches!(
            self,
            Self::Owner | Self::Admin | Self::Moderator | Self::Member
        )
    }

    /// May change the role of `other`, or deactivate it.
    pub(crate) fn may_manage(self, other: Self) -> bool {
        match self {
            Self::Owner => true,
            Self::Admin => other > Self::Admin,
            _ => false,
        }
    }

    /// May take away what others wrote, and manages rooms.
    pub(crate) const fn may_moderate(self) -> bool {
        matches!(self, Self::Owner | Self::Admin | Self::Moderator)
    }

    /// May make invitations, and see them.
    pub(crate) const fn may_invite_to_sign_up(self) -> bool {
        matches!(self, Self::Owner | Self::Admin)
    }
}

/// How many owners can sign in.
pub(crate) fn active_owners(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT count(*) FROM accounts a LEFT JOIN profiles p ON p.user = a.id
             WHERE a.role = 1 AND coalesce(p.deactivated_slot, 0) = 0",
        )?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(crate::ids::from_sql)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Property: the numbers in the file and on the wire are the same and keep their meaning.
    #[test]
    fn numbers_are_as_stored() {
        for (index, role) in Role::ALL.into_iter().enumerate() {
            assert_eq!(role.number(), index as i64 + 1);
            assert_eq!(role.to_wire() as i64, role.number());
            assert_eq!(Role::from_number(role.number()), Some(role));
        }
        assert_eq!(Role::from_number(0), None);
        assert_eq!(Role::from_number(7), None);
    }

    /// Property: nobody but an owner manages an equal or a higher one.
    #[test]
    fn who_manages_whom() {
        for actor in Role::ALL {
            for other in Role::ALL {
                let wanted = actor == Role::Owner || actor == Role::Admin && other > Role::Admin;
                assert_eq!(actor.may_manage(other), wanted, "{actor:?} {other:?}");
            }
        }
    }
}
