//! How SQLite is built.

#![allow(clippy::unwrap_used, reason = "tests: a panic is the report")]

/// Property: connections share neither a pool of pages nor a lock, wherever this was built. What it
/// costs otherwise: docs/adr/0014-sqlite-shares-nothing.md
#[test]
fn connections_share_nothing() {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    let mut statement = connection.prepare("PRAGMA compile_options").unwrap();
    let found = statement.query_map([], |row| row.get(0)).unwrap();
    let options: Vec<String> = found.map(Result::unwrap).collect();
    let has = |option: &str| options.iter().any(|found| found == option);
    let ours = ".cargo/config.toml of this workspace was not used";
    assert!(!has("ENABLE_MEMORY_MANAGEMENT"), "{ours}: {options:?}");
    assert!(has("DEFAULT_MEMSTATUS=0"), "{ours}: {options:?}");
    assert!(has("OMIT_SHARED_CACHE"), "{ours}: {options:?}");
}
