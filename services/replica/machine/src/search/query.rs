//! Questions to the index, answered together with the state.

use std::path::{Path, PathBuf};

use paxos::ids::Slot;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params_from_iter};

use super::failed;
use super::index::{attach, path_of};
use crate::error::Fault;
use crate::ids::{RoomId, Seq, UserId, from_sql, to_sql};
use crate::{Error, limits, names, schema};

/// What is sought. All of it must hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Search {
    /// Words or phrases of the text; the last one may be the beginning of a word. At least one.
    pub words: Vec<String>,
    /// Words or phrases that are not in it.
    pub without: Vec<String>,
    /// The name of the author.
    pub from: Option<String>,
    /// The name of the room.
    pub in_room: Option<String>,
    /// Written before this moment, milliseconds since 1970.
    pub before_ms: Option<u64>,
    /// Written at this moment or after it.
    pub after_ms: Option<u64>,
    /// Only what is older than this hit ([`Hits::next`]).
    pub cursor: Option<u64>,
}

/// A part of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// The part.
    pub text: String,
    /// Whether it is what was sought.
    pub hit: bool,
}

/// A message that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hit {
    /// Its room.
    pub room: RoomId,
    /// The room's name.
    pub room_name: String,
    /// Its place there.
    pub seq: Seq,
    /// The leader's clock, milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Who wrote it.
    pub author: UserId,
    /// The name.
    pub author_name: String,
    /// What surrounds the words in its text.
    pub snippet: Vec<Piece>,
}

/// A page of them, the newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hits {
    /// The page.
    pub hits: Vec<Hit>,
    /// Where the next page begins, if there is one.
    pub next: Option<u64>,
    /// Everything up to here was searched.
    pub indexed: Slot,
    /// The last applied slot.
    pub applied: Slot,
}

/// A connection for searching. Blocks its thread; use one per thread.
#[derive(Debug)]
pub struct Searcher {
    connection: Connection,
    path: PathBuf,
}

/// What the index puts around a word that was sought. No text has it: SQLite's own choice would be
/// text that people write.
const BEGIN: char = '\u{e000}';
const END: char = '\u{e001}';

impl Searcher {
    /// Opens the index beside a state; `None` before there is one.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn open(state: &Path) -> Result<Option<Self>, Error> {
        let path = path_of(state);
        if !path.exists() {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let wrong = |source: rusqlite::Error| failed(source.into(), &path);
        let connection = Connection::open_with_flags(&path, flags).map_err(wrong)?;
        connection
            .busy_timeout(std::time::Duration::from_millis(limits::BUSY_TIMEOUT_MS))
            .map_err(wrong)?;
        attach(&connection, state).map_err(|fault| failed(fault, &path))?;
        Ok(Some(Self { connection, path }))
    }

    /// What the person finds, at most `limit` and [`limits::SEARCH_HITS_MAX`] messages.
    ///
    /// # Errors
    ///
    /// When a file cannot be read: the index may be made anew by its writer.
    pub fn search(&mut self, user: UserId, wanted: &Search, limit: usize) -> Result<Hits, Error> {
        let limit = limit.min(limits::SEARCH_HITS_MAX);
        let mut found = || {
            let transaction = self.connection.transaction()?;
            search(&transaction, user, wanted, limit)
        };
        found().map_err(|fault: Fault| failed(fault, &self.path))
    }
}

fn search(
    connection: &Connection,
    user: UserId,
    wanted: &Search,
    limit: usize,
) -> Result<Hits, Fault> {
    let indexed: i64 = connection
        .prepare_cached("SELECT slot FROM progress WHERE id = 1")?
        .query_row([], |row| row.get(0))?;
    let applied = schema::read_applied(connection)?.slot;
    let mut page = Hits {
        hits: Vec::new(),
        next: None,
        indexed: Slot(from_sql(indexed)).min(applied),
        applied,
    };
    let Some((query, values)) = statement(connection, user, wanted, limit)? else {
        return Ok(page);
    };
    let mut statement = connection.prepare_cached(&query)?;
    let mut found = statement.query(params_from_iter(values))?;
    let mut last = None;
    while let Some(row) = found.next()? {
        if page.hits.len() == limit {
            page.next = last;
            break;
        }
        last = Some(from_sql(row.get(0)?));
        page.hits.push(hit(row)?);
    }
    Ok(page)
}

/// The question as SQL, with its values; `None`: nothing can be found.
fn statement(
    connection: &Connection,
    user: UserId,
    wanted: &Search,
    limit: usize,
) -> Result<Option<(String, Vec<Value>)>, Fault> {
    let Some(expression) = expression(wanted) else {
        return Ok(None);
    };
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut values: Vec<Value> = vec![
        expression.into(),
        wanted.cursor.map_or(i64::MAX, number).into(),
        to_sql(user.0).into(),
        BEGIN.to_string().into(),
        END.to_string().into(),
        (limit as i64 + 1).into(),
    ];
    let mut conditions = String::new();
    let mut require = |condition: &str, value: i64| {
        values.push(value.into());
        conditions.push_str(&format!(" AND {condition} ?{}", values.len()));
    };
    for (name, table, column) in [
        (&wanted.from, "accounts", "e.author ="),
        (&wanted.in_room, "rooms", "e.room ="),
    ] {
        let Some(name) = name else { continue };
        let Some(id) = id_of(connection, table, name)? else {
            return Ok(None);
        };
        require(column, id);
    }
    if let Some(before_ms) = wanted.before_ms {
        require("e.ts <", number(before_ms));
    }
    if let Some(after_ms) = wanted.after_ms {
        require("e.ts >=", number(after_ms));
    }
    // In the order of the keys, the newest first, so that a page ends when it is full.
    let query = format!(
        "SELECT t.rowid, e.room, r.name, e.seq, e.ts, e.author, a.name,
                snippet(texts, 0, ?4, ?5, '…', {words})
         FROM texts t
         CROSS JOIN state.events e ON e.eid = t.rowid
         CROSS JOIN state.rooms r ON r.id = e.room
         CROSS JOIN state.accounts a ON a.id = e.author
         WHERE texts MATCH ?1 AND t.rowid < ?2 AND e.body IS NOT NULL
           AND EXISTS (SELECT 1 FROM state.members m WHERE m.room = e.room AND m.user = ?3)
           {conditions}
         ORDER BY t.rowid DESC LIMIT ?6",
        words = limits::SEARCH_SNIPPET_WORDS,
    );
    Ok(Some((query, values)))
}

fn hit(row: &Row<'_>) -> rusqlite::Result<Hit> {
    let snippet: String = row.get(7)?;
    Ok(Hit {
        room: RoomId(from_sql(row.get(1)?)),
        room_name: row.get(2)?,
        seq: Seq(from_sql(row.get(3)?)),
        timestamp_ms: from_sql(row.get(4)?),
        author: UserId(from_sql(row.get(5)?)),
        author_name: row.get(6)?,
        snippet: pieces(&snippet),
    })
}

fn id_of(connection: &Connection, table: &str, name: &str) -> Result<Option<i64>, Fault> {
    Ok(connection
        .prepare_cached(&format!(
            "SELECT id FROM state.{table} WHERE name_folded = ?1"
        ))?
        .query_row([names::fold(name)], |row| row.get(0))
        .optional()?)
}

/// The question in the language of FTS5, every word quoted; `None`: nothing is sought.
fn expression(wanted: &Search) -> Option<String> {
    let is_word = |word: &&String| word.chars().any(char::is_alphanumeric);
    let words: Vec<&String> = wanted
        .words
        .iter()
        .filter(is_word)
        .take(limits::SEARCH_WORDS_MAX)
        .collect();
    let (last, others) = words.split_last()?;
    let mut expression: Vec<String> = others.iter().map(|word| quoted(word)).collect();
    // What is still being typed.
    expression.push(format!("{}*", quoted(last)));
    let mut expression = expression.join(" AND ");
    for word in wanted
        .without
        .iter()
        .filter(is_word)
        .take(limits::SEARCH_WORDS_MAX)
    {
        expression = format!("({expression}) NOT {}", quoted(word));
    }
    Some(expression)
}

fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('"', "\"\"").replace('\0', " "))
}

fn pieces(snippet: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (index, part) in snippet.split(BEGIN).enumerate() {
        let (hit, rest) = match (index, part.split_once(END)) {
            (1.., Some((hit, rest))) => (hit, rest),
            _ => ("", part),
        };
        for (text, hit) in [(hit, true), (rest, false)] {
            if !text.is_empty() {
                let text = text.replace(END, "");
                pieces.push(Piece { text, hit });
            }
        }
    }
    pieces
}
