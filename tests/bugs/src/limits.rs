//! Every bound of the zoo, with its reason.

use std::time::Duration;

/// Seeds that a fault may need: as many as every change is tested with.
pub(crate) const SEEDS: u64 = 1_000;
/// A search that takes longer found an endless loop. A thousand seeds take half a minute.
pub(crate) const SEARCH: Duration = Duration::from_secs(300);
/// Memory of a search, in KiB: a fault may make something grow without end.
pub(crate) const MEMORY_KIB: u64 = 4 * 1024 * 1024;
/// Lines of a compiler's or a test's output that say what went wrong.
pub(crate) const LINES: usize = 12;
