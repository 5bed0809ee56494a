//! The search index: what is found, by whom, and what happens to the index.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

mod support;

use machine::UserId;
use machine::search::{Hits, Index, Search};
use paxos::ids::Slot;
use support::{Fixture, create_room, delete, edit, join, leave, post};

fn words(words: &[&str]) -> Search {
    Search {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        ..Search::default()
    }
}

fn indexed(fixture: &Fixture) -> Index {
    let mut index = Index::open(&fixture.path()).unwrap();
    loop {
        let progress = index.catch_up().unwrap();
        if progress.indexed == progress.applied {
            return index;
        }
    }
}

fn find(fixture: &Fixture, user: u64, wanted: &Search) -> Hits {
    let mut reader = fixture.machine.reader().unwrap();
    reader.search(UserId(user), wanted, 50).unwrap()
}

fn found(fixture: &Fixture, user: u64, wanted: &Search) -> Vec<(u64, String)> {
    let text = |hit: machine::search::Hit| {
        let text: String = hit
            .snippet
            .iter()
            .map(|piece| piece.text.as_str())
            .collect();
        (hit.room.0, text)
    };
    find(fixture, user, wanted)
        .hits
        .into_iter()
        .map(text)
        .collect()
}

/// Ann and Bob in `general`, Ann alone in `lab`, a few messages.
fn fixture() -> Fixture {
    let mut fixture = Fixture::with_people(&["Ann", "Bob Lee"]);
    fixture.fresh(|cid| create_room(cid, 1, "lab"));
    for (author, room, body) in [
        (1, 1, "the quorum is back"),
        (2, 1, "Which QUORUM, the café one?"),
        (1, 2, "a quorum of one"),
        (2, 1, "no \"quote\" OR quorums (draft)"),
    ] {
        fixture.fresh(|cid| post(cid, author, room, body));
    }
    fixture
}

/// Property: a person finds what is in the person's rooms now, and nothing else, the newest first,
/// whatever case and accents.
#[test]
fn people_find_what_they_may_see() {
    let mut fixture = fixture();
    let _index = indexed(&fixture);
    let quorum = words(&["quorum"]);
    let rooms = |found: Vec<(u64, String)>| found.iter().map(|hit| hit.0).collect::<Vec<_>>();
    assert_eq!(rooms(found(&fixture, 1, &quorum)), [1, 2, 1, 1]);
    assert_eq!(rooms(found(&fixture, 2, &quorum)), [1, 1, 1]);
    assert_eq!(found(&fixture, 2, &words(&["CAFE"])).len(), 1);
    fixture.fresh(|cid| join(cid, 2, 2));
    assert_eq!(
        found(&fixture, 2, &words(&["of", "one"])).len(),
        1,
        "at once, without an index"
    );
    fixture.fresh(|cid| leave(cid, 2, 1));
    assert_eq!(rooms(found(&fixture, 2, &quorum)), [2]);
    assert_eq!(found(&fixture, 99, &quorum), []);
}

/// Property: the operators narrow what is found; names are as in accounts and rooms; what is not
/// known is found nowhere; nothing that is typed is an operator of the index.
#[test]
fn operators_narrow() {
    let fixture = fixture();
    let _index = indexed(&fixture);
    let count = |wanted: Search| found(&fixture, 1, &wanted).len();
    let quorum = || words(&["quorum"]);
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(
        count(Search {
            from: some("bob lee"),
            ..quorum()
        }),
        2
    );
    assert_eq!(
        count(Search {
            from: some("nobody"),
            ..quorum()
        }),
        0
    );
    assert_eq!(
        count(Search {
            in_room: some("LAB"),
            ..quorum()
        }),
        1
    );
    assert_eq!(
        count(Search {
            without: vec!["draft".to_owned()],
            ..quorum()
        }),
        3
    );
    let all = find(&fixture, 1, &quorum()).hits;
    let (newest, oldest) = (all[0].timestamp_ms, all[3].timestamp_ms);
    assert_eq!(
        count(Search {
            before_ms: Some(newest),
            ..quorum()
        }),
        3
    );
    assert_eq!(
        count(Search {
            after_ms: Some(oldest + 1),
            ..quorum()
        }),
        3
    );
    assert_eq!(count(words(&["quorum is back"])), 1, "a phrase");
    assert_eq!(
        count(words(&["back", "quor"])),
        1,
        "the last one is being typed"
    );
    assert_eq!(count(words(&["quor", "back"])), 0);
    for odd in [
        "\"",
        "quorum OR",
        "body:quorum",
        "*",
        "a NEAR b",
        "^quorum",
        "(",
        "\0",
        "",
    ] {
        let _ = count(words(&[odd]));
    }
    assert_eq!(count(words(&["\"quote\""])), 1);
}

/// Property: pages make up the whole answer, each hit once.
#[test]
fn pages_make_up_the_answer() {
    let mut fixture = fixture();
    for number in 0..30 {
        fixture.fresh(|cid| post(cid, 1, 1, &format!("page me {number}")));
    }
    let _index = indexed(&fixture);
    let mut reader = fixture.machine.reader().unwrap();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let wanted = Search {
            cursor,
            ..words(&["page"])
        };
        let hits = reader.search(UserId(1), &wanted, 7).unwrap();
        seen.extend(hits.hits.iter().map(|hit| hit.seq));
        cursor = hits.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 30);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]));
}

/// Property: an edit is found by its new text only; a deleted message is found no more, not even
/// while the index does not know it yet; the answer says that the index lags.
#[test]
fn edits_and_deletions_are_followed() {
    let mut fixture = fixture();
    let mut index = indexed(&fixture);
    fixture.fresh(|cid| edit(cid, 1, 1, 4, "the majority is back"));
    fixture.fresh(|cid| delete(cid, 2, 1, 5));
    let lagging = find(&fixture, 1, &words(&["quorum"]));
    assert!(lagging.indexed < lagging.applied);
    let texts = format!("{:?}", lagging.hits);
    assert!(!texts.contains("caf"), "deleted: {texts}");
    index.catch_up().unwrap();
    let now = find(&fixture, 1, &words(&["majority"]));
    assert_eq!((now.hits.len(), now.indexed), (1, now.applied));
    assert_eq!(found(&fixture, 1, &words(&["quorum is back"])), []);
    let rows: i64 = rusqlite::Connection::open(fixture.path().with_file_name("search.db"))
        .unwrap()
        .query_row(
            "SELECT count(*) FROM texts WHERE body LIKE '%caf%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(rows, 0, "the index has no deleted text");
}

/// Property: a snippet marks the words, and nothing else is taken for a mark.
#[test]
fn snippets_mark_the_words() {
    let mut fixture = fixture();
    fixture.fresh(|cid| post(cid, 1, 1, "<b>mark</b> me & mark \u{1} me"));
    let _index = indexed(&fixture);
    let hits = find(&fixture, 1, &words(&["mark"])).hits;
    let pieces: Vec<(&str, bool)> = hits[0]
        .snippet
        .iter()
        .map(|piece| (piece.text.as_str(), piece.hit))
        .collect();
    assert_eq!(
        pieces,
        [
            ("<b>", false),
            ("mark", true),
            ("</b> me & ", false),
            ("mark", true),
            (" \u{1} me", false)
        ]
    );
}

/// Property: without an index nothing is found, and the answer says so; an index that is missing,
/// damaged, or of a later state, is made anew and has everything; one that is there goes on.
#[test]
fn the_index_is_made_anew() {
    let mut fixture = fixture();
    let quorum = words(&["quorum"]);
    let none = find(&fixture, 1, &quorum);
    assert_eq!((none.hits.len(), none.indexed), (0, Slot::GENESIS));
    drop(indexed(&fixture));
    fixture.fresh(|cid| post(cid, 1, 1, "one more quorum"));
    drop(indexed(&fixture));
    assert_eq!(find(&fixture, 1, &quorum).hits.len(), 5);
    let path = fixture.path().with_file_name("search.db");
    std::fs::write(
        &path,
        b"this is no database, and it is long enough to be looked at",
    )
    .unwrap();
    drop(indexed(&fixture));
    assert_eq!(find(&fixture, 1, &quorum).hits.len(), 5);
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("UPDATE progress SET slot = 999999999, eid = 999999999999")
        .unwrap();
    drop(indexed(&fixture));
    assert_eq!(find(&fixture, 1, &quorum).hits.len(), 5);

    // Another cluster's state in the same directory: its index says nothing of that one.
    let mut other = Fixture::with_people(&["Ann"]);
    for number in 0..20 {
        other.fresh(|cid| post(cid, 1, 1, &format!("elsewhere {number}")));
    }
    std::fs::copy(&path, other.path().with_file_name("search.db")).unwrap();
    drop(indexed(&other));
    assert_eq!(find(&other, 1, &quorum).hits, []);
    assert_eq!(find(&other, 1, &words(&["elsewhere"])).hits.len(), 20);
}

/// Property: whatever is wrong with the index is no fault of the state, which must not be replaced
/// for it.
#[test]
fn a_damaged_index_is_no_damaged_state() {
    let fixture = fixture();
    drop(indexed(&fixture));
    let path = fixture.path().with_file_name("search.db");
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); DROP TABLE progress")
        .unwrap();
    let mut reader = fixture.machine.reader().unwrap();
    let error = reader
        .search(UserId(1), &words(&["quorum"]), 9)
        .unwrap_err();
    assert!(!error.is_replaceable(), "{error}");
    std::fs::write(&path, vec![7; 8192]).unwrap();
    let error = reader
        .search(UserId(1), &words(&["quorum"]), 9)
        .unwrap_err();
    assert!(!error.is_replaceable(), "{error}");
}

/// Property: the writer of the state does not wait for the index, in whatever moment.
#[test]
fn the_writer_does_not_wait() {
    let mut fixture = fixture();
    let mut index = indexed(&fixture);
    let path = fixture.path().with_file_name("search.db");
    // The index is locked as while it writes: the state goes on.
    let lock = rusqlite::Connection::open(&path).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    fixture.fresh(|cid| post(cid, 1, 1, "meanwhile"));
    lock.execute_batch("ROLLBACK").unwrap();
    index.catch_up().unwrap();
    assert_eq!(find(&fixture, 1, &words(&["meanwhile"])).hits.len(), 1);
}
