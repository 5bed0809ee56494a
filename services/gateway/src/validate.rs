//! What people may write into names and messages: docs/protocol.md 4.
//!
//! The state machine decides; this refuses early what it would refuse, in better words.

use crate::errors::Error;
use crate::frames::ErrorCode;
use crate::limits::{
    EMOJI_BYTES_MAX, MESSAGE_BYTES_MAX, PERSON_NAME_CHARS_MAX, ROOM_NAME_CHARS_MAX, SECRET_CHARS,
};

/// The name of a person, trimmed.
pub(crate) fn person_name(name: &str) -> Result<&str, Error> {
    let name = name.trim();
    let length = name.chars().count();
    if length == 0 || length > PERSON_NAME_CHARS_MAX {
        let message =
            format!("name: 1 to {PERSON_NAME_CHARS_MAX} characters are allowed, not {length}");
        return Err(Error::bad_request(message));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::bad_request(
            "name: control characters are not allowed",
        ));
    }
    Ok(name)
}

/// The name of a room.
pub(crate) fn room_name(name: &str) -> Result<&str, Error> {
    let length = name.chars().count();
    if length == 0 || length > ROOM_NAME_CHARS_MAX {
        let message =
            format!("name: 1 to {ROOM_NAME_CHARS_MAX} characters are allowed, not {length}");
        return Err(Error::bad_request(message));
    }
    let allowed = |c: char| c.is_alphabetic() || c.is_ascii_digit() || c == '-' || c == '_';
    match name.chars().find(|c| !allowed(*c)) {
        None => Ok(name),
        Some(other) => Err(Error::bad_request(format!(
            "name: letters, 0-9, - and _ are allowed, not {other:?}"
        ))),
    }
}

/// The text of a message.
pub(crate) fn body(body: &str) -> Result<(), Error> {
    if body.len() > MESSAGE_BYTES_MAX {
        let message = format!(
            "body: {} bytes; {MESSAGE_BYTES_MAX} are allowed",
            body.len()
        );
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    if body.trim().is_empty() {
        return Err(Error::bad_request(
            "body: a message needs more than white space",
        ));
    }
    Ok(())
}

/// The emoji of a reaction. The state machine says what it may consist of.
pub(crate) fn emoji(emoji: &str) -> Result<(), Error> {
    if (1..=EMOJI_BYTES_MAX).contains(&emoji.len()) {
        return Ok(());
    }
    Err(Error::bad_request(format!(
        "emoji: one of 1 to {EMOJI_BYTES_MAX} bytes is needed"
    )))
}

/// The secret of a sign-up, a sign-in or an invitation.
pub(crate) fn secret(secret: &str) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if SECRET_CHARS.contains(&secret.len()) && secret.bytes().all(allowed) {
        return Ok(());
    }
    let (low, high) = (SECRET_CHARS.start(), SECRET_CHARS.end());
    Err(Error::bad_request(format!(
        "secret: {low} to {high} random characters of A-Z a-z 0-9 - _"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people() {
        assert_eq!(person_name("  Zoë 9 ").unwrap(), "Zoë 9");
        assert!(person_name(&"ä".repeat(32)).is_ok());
        for bad in ["", "   ", "a\u{7}b", &*"x".repeat(33)] {
            assert_eq!(
                person_name(bad).unwrap_err().code,
                ErrorCode::BadRequest,
                "{bad:?}"
            );
        }
    }

    #[test]
    fn names_of_rooms() {
        for good in ["general", "größe-2_b", "日本語", &*"x".repeat(64)] {
            assert!(room_name(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a b", "a\tb", "a/b", "#x", &*"x".repeat(65)] {
            assert_eq!(
                room_name(bad).unwrap_err().code,
                ErrorCode::BadRequest,
                "{bad:?}"
            );
        }
    }

    #[test]
    fn bodies() {
        assert!(body(&"x".repeat(MESSAGE_BYTES_MAX)).is_ok());
        assert_eq!(
            body(&"x".repeat(MESSAGE_BYTES_MAX + 1)).unwrap_err().code,
            ErrorCode::TooLarge
        );
        assert_eq!(body(" \n\t").unwrap_err().code, ErrorCode::BadRequest);
    }
}
