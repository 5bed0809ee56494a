//! Holes that are known, one constant each. A test tolerates a hole while its constant says that
//! it is there, and fails once the hole does not show any more: then the constant goes.

/// The pre-flight scan takes some torn ends of a WAL for damage (docs/known-limits.md).
pub(crate) const TORN_WAL_ALARMS: bool = true;

/// Leftovers of a torn transaction are taken for damage after the log has gone on.
pub(crate) const STALE_TAIL_ALARMS: bool = true;

/// Opening believes what the page cache shows, synced or not.
pub(crate) const CACHE_IS_BELIEVED: bool = true;

/// Errors of the disk while a log is opened, or its directory is synced, are swallowed.
pub(crate) const ERRORS_ARE_SWALLOWED: bool = true;

/// Undecided rows are counted by SQLite, which counts the cells of a foreign page as well.
pub(crate) const FOREIGN_CELLS_COUNT: bool = true;

/// Checks that a hole is as `known` says. `times` is how often it showed.
pub(crate) fn check(hole: &str, known: bool, times: u64) {
    if known {
        assert!(
            times > 0,
            "\"{hole}\" does not show any more: take it off known.rs"
        );
        println!("known hole, shown {times} times: {hole}");
    } else {
        assert_eq!(times, 0, "{hole}");
    }
}
