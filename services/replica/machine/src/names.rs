//! Names of people and rooms: what is allowed, and when two are the same.
//!
//! Two names are the same when their *folded* forms are equal: each character is mapped to
//! lower, upper and again lower case (this joins `ẞ`, `ß` and `ss`, `ς` and `σ`, which lower
//! case alone does not), runs of white space become one space, and characters
//! that nobody sees are dropped. Not done: Unicode normalisation (NFC), for which the standard
//! library has no tables: `é` in one code point and in two are different names of people, and
//! the latter is no name of a room. Nor are look-alikes of other scripts joined.
//!
//! The mapping is part of the state machine: its tables are those of the toolchain. A test
//! below fails when they change, because then a mixed cluster could disagree on a name with a
//! character that only the newer one knows.

use crate::limits;
use crate::refusal::Reason;

/// A name that may be stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// As written, without white space around it.
    pub(crate) text: String,
    /// What must be unique.
    pub(crate) folded: String,
}

/// Checks the name of a person.
pub(crate) fn person(text: &str) -> Result<Name, Reason> {
    let text = text.trim();
    if !has_length(text, limits::PERSON_NAME_CHARS_MAX) {
        return Err(Reason::PersonNameLength);
    }
    if text.chars().any(|c| c.is_control() || is_formatting(c)) {
        return Err(Reason::PersonNameCharacters);
    }
    let folded = fold(text);
    if folded.is_empty() {
        return Err(Reason::PersonNameCharacters);
    }
    Ok(Name {
        text: text.to_owned(),
        folded,
    })
}

/// Checks the name of a room.
pub(crate) fn room(text: &str) -> Result<Name, Reason> {
    let text = text.trim();
    if !has_length(text, limits::ROOM_NAME_CHARS_MAX) {
        return Err(Reason::RoomNameLength);
    }
    let is_allowed = |c: char| c.is_alphabetic() || c.is_ascii_digit() || c == '-' || c == '_';
    if !text.chars().all(is_allowed) {
        return Err(Reason::RoomNameCharacters);
    }
    Ok(Name {
        text: text.to_owned(),
        folded: fold(text),
    })
}

fn has_length(text: &str, chars_max: usize) -> bool {
    // The count stops early: a body of megabytes is not walked to learn that it is too long.
    let chars = text.chars().take(chars_max + 1).count();
    (1..=chars_max).contains(&chars)
}

/// What makes two names the same.
pub(crate) fn fold(text: &str) -> String {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| {
            word.chars()
                .filter(|c| !is_joiner(*c))
                .flat_map(char::to_lowercase)
                .flat_map(char::to_uppercase)
                .flat_map(char::to_lowercase)
                .collect()
        })
        .filter(|word: &String| !word.is_empty())
        .collect();
    words.join(" ")
}

/// Characters without a shape of their own that scripts and emoji need: allowed in a name, but
/// they make no difference between two.
const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

/// Invisible characters and those that turn the direction of text: with them a name can look
/// like another one.
const fn is_formatting(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Property: the tables that decide which names are equal change only on purpose. When this
    /// fails after a new toolchain: raise the batch version, so that old and new replicas never
    /// apply the same name with different tables, then raise the number here.
    #[test]
    fn unicode_tables_are_the_known_ones() {
        assert_eq!(char::UNICODE_VERSION, (17, 0, 0));
    }

    /// Property: names that a person takes for the same fold to the same, others do not.
    #[test]
    fn folding() {
        let same = [
            ("Ann", "aNN"),
            ("Ann  Lee", "ann\u{a0}lee"),
            ("STRASSE", "Straße"),
            ("STRAẞE", "strasse"),
            ("ΟΔΟΣ", "οδος"),
            ("\u{212a}elvin", "kelvin"),
            ("Ann\u{200d}", "ann"),
            ("❤\u{fe0f}", "❤"),
            ("ЖАННА", "жанна"),
        ];
        for (a, b) in same {
            assert_eq!(
                person(a).unwrap().folded,
                person(b).unwrap().folded,
                "{a} {b}"
            );
        }
        for (a, b) in [("Ann", "Anna"), ("ann lee", "annlee"), ("и", "й")] {
            assert_ne!(
                person(a).unwrap().folded,
                person(b).unwrap().folded,
                "{a} {b}"
            );
        }
    }

    /// Property: folding what is folded changes nothing, for every character there is (else two
    /// names could be equal or not depending on who came first).
    #[test]
    fn folding_is_idempotent() {
        for c in ('\0'..=char::MAX).filter(|c| !c.is_whitespace()) {
            let once = fold(&c.to_string());
            assert_eq!(fold(&once), once, "{:?}", c);
        }
    }

    /// Property: lengths count characters after trimming, with both bounds included.
    #[test]
    fn lengths() {
        assert_eq!(person("  Ann ").unwrap().text, "Ann");
        assert_eq!(person(" \t "), Err(Reason::PersonNameLength));
        assert!(person(&"é".repeat(32)).is_ok());
        assert_eq!(person(&"é".repeat(33)), Err(Reason::PersonNameLength));
        assert!(room(&"日".repeat(64)).is_ok());
        assert_eq!(room(&"日".repeat(65)), Err(Reason::RoomNameLength));
        assert_eq!(room(""), Err(Reason::RoomNameLength));
    }

    /// Property: what cannot be seen, or does not belong into a name, is refused.
    #[test]
    fn characters() {
        for bad in [
            "a\0b",
            "a\nb",
            "a\u{7f}",
            "a\u{202e}b",
            "a\u{200b}",
            "\u{200d}",
            "\u{3164}",
        ] {
            assert_eq!(person(bad), Err(Reason::PersonNameCharacters), "{bad:?}");
        }
        for good in ["日本語", "müller-2_x", "Комната", "कमरा"] {
            assert!(room(good).is_ok(), "{good}");
        }
        for bad in ["a b", "a.b", "#a", "a\u{a0}b", "a/b", "😀", "a\u{200d}"] {
            assert_eq!(room(bad), Err(Reason::RoomNameCharacters), "{bad:?}");
        }
    }
}
