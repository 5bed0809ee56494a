//! The reasons for which a command is refused: a number for the state, a code for the client,
//! a sentence for the person.

use proto::v1::{Refusal, RefusalCode};

use crate::limits;

/// Why a command is refused. The numbers are stored for ever and never reused; the wording is
/// not stored, so it may be improved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Reason {
    CidLength = 1,
    NotSignedIn = 2,
    SignUpSignedIn = 3,
    TokenHashLength = 4,
    TokenHashUsed = 5,
    ForeignSession = 6,
    PersonNameLength = 7,
    PersonNameCharacters = 8,
    PersonNameTaken = 9,
    RoomNameLength = 10,
    RoomNameCharacters = 11,
    RoomNameTaken = 12,
    NoSuchRoom = 13,
    NotMember = 14,
    MessageBlank = 15,
    MessageTooLarge = 16,
    ReplyToNothing = 17,
    // These three are about the order of a sender session, and never stored (senders.rs).
    SequenceGap = 18,
    SequenceUsed = 19,
    SenderSessionClosed = 20,
    ClusterRoom = 21,
    NoticeInvalid = 22,
    PasswordChanged = 23,
    PasswordInvalid = 24,
    DeviceInvalid = 25,
    ColourUnknown = 26,
    RoleUnknown = 27,
    RoleTooLow = 28,
    NoSuchPerson = 29,
    LastOwner = 30,
    SignUpModeUnknown = 31,
    SignUpClosed = 32,
    InvitationNeeded = 33,
    InvitationInvalid = 34,
    InvitationUses = 35,
    RoomArchived = 36,
    DirectRoom = 37,
    DirectPeople = 38,
    TopicInvalid = 39,
    GeneralStays = 40,
    LevelUnknown = 41,
    OwnMessage = 42,
    NoSuchMessage = 60,
    MessageDeleted = 61,
    ForeignMessage = 62,
    EmojiInvalid = 63,
    TooManyReactions = 64,
    TooManyPins = 65,
}

impl Reason {
    pub(crate) const ALL: [Self; 48] = [
        Self::CidLength,
        Self::NotSignedIn,
        Self::SignUpSignedIn,
        Self::TokenHashLength,
        Self::TokenHashUsed,
        Self::ForeignSession,
        Self::PersonNameLength,
        Self::PersonNameCharacters,
        Self::PersonNameTaken,
        Self::RoomNameLength,
        Self::RoomNameCharacters,
        Self::RoomNameTaken,
        Self::NoSuchRoom,
        Self::NotMember,
        Self::MessageBlank,
        Self::MessageTooLarge,
        Self::ReplyToNothing,
        Self::SequenceGap,
        Self::SequenceUsed,
        Self::SenderSessionClosed,
        Self::ClusterRoom,
        Self::NoticeInvalid,
        Self::PasswordChanged,
        Self::PasswordInvalid,
        Self::DeviceInvalid,
        Self::ColourUnknown,
        Self::RoleUnknown,
        Self::RoleTooLow,
        Self::NoSuchPerson,
        Self::LastOwner,
        Self::SignUpModeUnknown,
        Self::SignUpClosed,
        Self::InvitationNeeded,
        Self::InvitationInvalid,
        Self::InvitationUses,
        Self::RoomArchived,
        Self::DirectRoom,
        Self::DirectPeople,
        Self::TopicInvalid,
        Self::GeneralStays,
        Self::LevelUnknown,
        Self::OwnMessage,
        Self::NoSuchMessage,
        Self::MessageDeleted,
        Self::ForeignMessage,
        Self::EmojiInvalid,
        Self::TooManyReactions,
        Self::TooManyPins,
    ];

    pub(crate) const fn number(self) -> u64 {
        self as u64
    }

    /// The reason with this number, if there is one.
    pub(crate) fn from_number(number: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.number() == number)
    }

    pub(crate) fn to_refusal(self) -> Refusal {
        Refusal {
            code: self.code().into(),
            message: self.message(),
            next_sender_seq: 0,
        }
    }

    /// Whether the reason lies in the order in which the command came, not in the command.
    pub(crate) const fn is_of_order(self) -> bool {
        matches!(
            self,
            Self::SequenceGap | Self::SequenceUsed | Self::SenderSessionClosed
        )
    }

    const fn code(self) -> RefusalCode {
        match self {
            Self::NotSignedIn => RefusalCode::Unauthenticated,
            Self::ForeignSession
            | Self::ClusterRoom
            | Self::RoleTooLow
            | Self::LastOwner
            | Self::ForeignMessage
            | Self::DirectRoom
            | Self::GeneralStays => RefusalCode::Forbidden,
            Self::PasswordChanged => RefusalCode::PasswordChanged,
            Self::SignUpClosed | Self::InvitationNeeded | Self::InvitationInvalid => {
                RefusalCode::SignUpClosed
            }
            Self::RoomArchived => RefusalCode::RoomArchived,
            Self::PersonNameTaken | Self::RoomNameTaken => RefusalCode::NameTaken,
            Self::NoSuchRoom | Self::NoSuchPerson | Self::NoSuchMessage | Self::MessageDeleted => {
                RefusalCode::NotFound
            }
            Self::NotMember => RefusalCode::NotMember,
            Self::SequenceGap => RefusalCode::SequenceGap,
            Self::SequenceUsed => RefusalCode::SequenceUsed,
            Self::SenderSessionClosed => RefusalCode::SenderSessionClosed,
            Self::CidLength
            | Self::SignUpSignedIn
            | Self::TokenHashLength
            | Self::TokenHashUsed
            | Self::PersonNameLength
            | Self::PersonNameCharacters
            | Self::RoomNameLength
            | Self::RoomNameCharacters
            | Self::MessageBlank
            | Self::MessageTooLarge
            | Self::ReplyToNothing
            | Self::NoticeInvalid
            | Self::PasswordInvalid
            | Self::DeviceInvalid
            | Self::ColourUnknown
            | Self::RoleUnknown
            | Self::SignUpModeUnknown
            | Self::InvitationUses
            | Self::EmojiInvalid
            | Self::TooManyReactions
            | Self::TooManyPins
            | Self::DirectPeople
            | Self::LevelUnknown
            | Self::OwnMessage
            | Self::TopicInvalid => RefusalCode::BadRequest,
        }
    }

    fn message(self) -> String {
        match self {
            Self::CidLength => format!("cid: {} bytes are needed", limits::CID_BYTES),
            Self::NotSignedIn => "no such account: sign in again".to_owned(),
            Self::SignUpSignedIn => "a sign-up has no author".to_owned(),
            Self::TokenHashLength => {
                format!("token_hash: {} bytes are needed", limits::TOKEN_HASH_BYTES)
            }
            Self::TokenHashUsed => "token_hash: another session has it".to_owned(),
            Self::ForeignSession => "that session belongs to somebody else".to_owned(),
            Self::PersonNameLength => {
                format!(
                    "name: 1 to {} characters are needed",
                    limits::PERSON_NAME_CHARS_MAX
                )
            }
            Self::PersonNameCharacters => {
                "name: control characters and invisible ones are not allowed".to_owned()
            }
            Self::PersonNameTaken => "somebody has that name already".to_owned(),
            Self::RoomNameLength => {
                format!(
                    "name: 1 to {} characters are needed",
                    limits::ROOM_NAME_CHARS_MAX
                )
            }
            Self::RoomNameCharacters => {
                "name: letters, digits, - and _ are allowed, no white space".to_owned()
            }
            Self::RoomNameTaken => "a room has that name already".to_owned(),
            Self::NoSuchRoom => "there is no such room".to_owned(),
            Self::NotMember => "join the room first".to_owned(),
            Self::MessageBlank => "body: the message is empty".to_owned(),
            Self::MessageTooLarge => {
                format!(
                    "body: at most {} bytes are allowed",
                    limits::MESSAGE_BYTES_MAX
                )
            }
            Self::ReplyToNothing => "reply_to: no message of this room has that seq".to_owned(),
            Self::SequenceGap => "a command of this sender session is missing before it".to_owned(),
            Self::SequenceUsed => {
                "another command of this sender session has this number".to_owned()
            }
            Self::SenderSessionClosed => "the sender session is closed: open another".to_owned(),
            Self::ClusterRoom => {
                "the room of the cluster tells what happens to the replicas: everybody reads it, \
                 nobody writes into it or leaves it"
                    .to_owned()
            }
            Self::NoticeInvalid => "no notice that a leader posts".to_owned(),
            about_messages => about_messages.message_about_changes(),
        }
    }

    /// Of the reasons for which a message stays as it is.
    fn message_about_changes(self) -> String {
        match self {
            Self::NoSuchMessage => "seq: no message of this room has it".to_owned(),
            Self::MessageDeleted => "the message is deleted".to_owned(),
            Self::ForeignMessage => "the message is somebody else's".to_owned(),
            Self::OwnMessage => "the message is your own: delete it".to_owned(),
            Self::LevelUnknown => "level: mentions, all or nothing".to_owned(),
            Self::EmojiInvalid => {
                format!(
                    "emoji: one of at most {} bytes is needed",
                    limits::EMOJI_BYTES_MAX
                )
            }
            Self::TooManyReactions => {
                format!(
                    "a message has at most {} reactions",
                    limits::REACTIONS_PER_MESSAGE_MAX
                )
            }
            Self::TooManyPins => {
                format!(
                    "a room has at most {} pinned messages: unpin another one first",
                    limits::PINS_PER_ROOM_MAX
                )
            }
            about_people => about_people.message_about_people(),
        }
    }

    /// Of the reasons that have to do with accounts, roles and what a room is.
    fn message_about_people(self) -> String {
        match self {
            Self::PasswordChanged => "the password was changed meanwhile: try again".to_owned(),
            Self::PasswordInvalid => {
                format!(
                    "password: a PHC string of argon2id is needed, of at most {} bytes",
                    limits::PASSWORD_BYTES_MAX
                )
            }
            Self::DeviceInvalid => {
                format!(
                    "device: at most {} bytes without control characters are allowed",
                    limits::DEVICE_BYTES_MAX
                )
            }
            Self::ColourUnknown => format!("colour: 0 to {} are allowed", limits::COLOUR_MAX),
            Self::RoleUnknown => "role: this one cannot be given here".to_owned(),
            Self::RoleTooLow => "your role does not allow that".to_owned(),
            Self::NoSuchPerson => "there is no such person".to_owned(),
            Self::LastOwner => "the last owner stays: make another owner first".to_owned(),
            Self::SignUpModeUnknown => "sign_up: open, invitation or closed".to_owned(),
            Self::SignUpClosed => "nobody can sign up here at present".to_owned(),
            Self::InvitationNeeded => "an invitation is needed to sign up here".to_owned(),
            Self::InvitationInvalid => "the invitation is used up, ended or wrong".to_owned(),
            Self::InvitationUses => {
                format!("uses: 1 to {} are allowed", limits::INVITATION_USES_MAX)
            }
            Self::DirectRoom => "the people of a direct room stay as they are".to_owned(),
            Self::DirectPeople => {
                format!(
                    "people: 2 to {} with you are needed",
                    limits::DIRECT_PEOPLE_MAX
                )
            }
            Self::TopicInvalid => {
                format!(
                    "topic: at most {} characters without control characters are allowed",
                    limits::TOPIC_CHARS_MAX
                )
            }
            Self::GeneralStays => "the first room stays open".to_owned(),
            Self::RoomArchived => "the room is archived: it can only be read".to_owned(),
            other => unreachable!("{other:?} is said elsewhere"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Property: the numbers in the file keep their meaning; the list has each reason once.
    #[test]
    fn numbers_are_as_stored() {
        let numbers: Vec<u64> = Reason::ALL.into_iter().map(Reason::number).collect();
        let expected: Vec<u64> = (1..=42).chain(60..=65).collect();
        assert_eq!(numbers, expected);
        for reason in Reason::ALL {
            assert_eq!(Reason::from_number(reason.number()), Some(reason));
            assert!(!reason.to_refusal().message.is_empty());
        }
        assert_eq!(Reason::from_number(0), None);
        assert_eq!(Reason::from_number(43), None);
        assert_eq!(Reason::from_number(66), None);
    }
}
