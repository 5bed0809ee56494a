//! Whom a text mentions: `@` and the name of an account, or `@room`.
//!
//! A mention begins with an `@` that no letter, digit or `_` stands before (an address of mail is
//! none). Of the names that could follow, each ending where a word ends, the longest one counts
//! that an account had *before the slot of the message*: so a log that is applied again, and a
//! file that is brought forward, find the same. Letter case does not matter (names.rs). Markdown
//! is not looked at: a name in a piece of code is a mention, too.
//!
//! Costs nothing for a text without `@`. Tests: below, tests/changes.rs.

use rusqlite::{Connection, OptionalExtension, params};

use crate::ids::{EventId, RoomId, Seq, UserId, from_sql, to_sql};
use crate::{limits, names};

/// Everybody in the room.
pub(crate) const EVERYBODY: u64 = 0;

/// What means everybody.
const ROOM: &str = "room";

/// Whom the text of an event mentions, ascending: accounts other than the author, or
/// [`EVERYBODY`].
pub(crate) fn of_text(
    connection: &Connection,
    text: &str,
    author: UserId,
    event: EventId,
) -> rusqlite::Result<Vec<u64>> {
    let mut found = Vec::new();
    if !text.contains('@') {
        return Ok(found);
    }
    let mut statement = connection
        .prepare_cached("SELECT id FROM accounts WHERE name_folded = ?1 AND created_slot < ?2")?;
    for candidates in candidates(text) {
        for name in candidates {
            if name == ROOM {
                found.push(EVERYBODY);
                break;
            }
            let row = params![name, to_sql(event.slot().0)];
            let account: Option<i64> = statement.query_row(row, |row| row.get(0)).optional()?;
            if let Some(account) = account {
                found.push(from_sql(account));
                break;
            }
        }
    }
    found.retain(|user| *user != author.0);
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// For each `@` that may begin a mention the folded names that may follow, the longest first.
fn candidates(text: &str) -> impl Iterator<Item = Vec<String>> {
    let begins = text.match_indices('@').filter(|(at, _)| {
        let before = text
            .get(..*at)
            .and_then(|before| before.chars().next_back());
        !before.is_some_and(is_of_word)
    });
    begins
        .take(limits::MENTIONS_SOUGHT_MAX)
        .map(|(at, _)| names_at(text.get(at + 1..).unwrap_or_default()))
}

fn names_at(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut chars = text.char_indices().peekable();
    for _ in 0..limits::PERSON_NAME_CHARS_MAX {
        let Some((at, char)) = chars.next() else {
            break;
        };
        if char == '\n' || names.len() == limits::MENTION_WORDS_MAX {
            break;
        }
        let is_end = !chars.peek().is_some_and(|(_, next)| is_of_word(*next));
        if is_end && !char.is_whitespace() {
            let name = text.get(..at + char.len_utf8()).unwrap_or_default();
            names.push(names::fold(name));
        }
    }
    names.reverse();
    names
}

fn is_of_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// Notes whom the newest text of a message mentions, in the place of what was noted before.
pub(crate) fn store(
    connection: &Connection,
    room: RoomId,
    message: Seq,
    mentioned: &[u64],
) -> rusqlite::Result<()> {
    if mentioned.is_empty() {
        return Ok(());
    }
    let mut insert =
        connection.prepare_cached("INSERT INTO mentions (user, room, seq) VALUES (?1, ?2, ?3)")?;
    for user in mentioned {
        insert.execute(params![to_sql(*user), to_sql(room.0), to_sql(message.0)])?;
    }
    Ok(())
}

/// Forgets whom a message mentions.
pub(crate) fn forget(connection: &Connection, room: RoomId, message: Seq) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM mentions WHERE room = ?1 AND seq = ?2")?
        .execute(params![to_sql(room.0), to_sql(message.0)])?;
    Ok(())
}

/// Whom a message mentions.
pub(crate) fn of_message(
    connection: &Connection,
    room: u64,
    message: u64,
) -> rusqlite::Result<Vec<u64>> {
    connection
        .prepare_cached("SELECT user FROM mentions WHERE room = ?1 AND seq = ?2 ORDER BY user")?
        .query_map(params![to_sql(room), to_sql(message)], |row| {
            row.get(0).map(from_sql)
        })?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Property: names begin after an `@` of their own, end where words end, the longest first.
    #[test]
    fn candidates_are_whole_words() {
        fn found(text: &str) -> Vec<Vec<String>> {
            candidates(text).collect()
        }
        assert_eq!(
            found("hi @Ann Lee, ok"),
            [["ann lee, ok", "ann lee,", "ann lee", "ann"]]
        );
        assert_eq!(found("a@b.c"), Vec::<Vec<String>>::new());
        assert_eq!(found("(@ZOË)"), [["zoë)", "zoë"]]);
        assert_eq!(
            found("@@a\nb"),
            [vec!["@a".to_owned()], vec!["a".to_owned()]]
        );
        assert_eq!(found("@"), [Vec::<String>::new()]);
        assert!(found(&"@a ".repeat(999)).len() <= limits::MENTIONS_SOUGHT_MAX);
        let long = found(&format!("@{}", "x ".repeat(40)));
        assert!(long[0].len() <= limits::MENTION_WORDS_MAX);
    }
}
