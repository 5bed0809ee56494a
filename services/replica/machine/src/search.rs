//! Full-text search: an index of its own beside the state, behind it.
//!
//! The index is derived data. It has a file of its own, `search.db`, so that the apply path never
//! waits for it and commits cost the same with it; it is no part of the state, of its hash or of
//! snapshots. It follows the applied events in batches ([`Index::catch_up`]), in its own thread, and
//! is made anew when it is missing, damaged, of another format, or ahead of the state.
//!
//! Must hold: an answer has nothing but messages of rooms that the asker is in *now*, as the state
//! says in the same moment, and no deleted one, however far the index is behind. How far it is, the
//! answer says. Tests: tests/search.rs.

mod index;
mod query;

use std::path::Path;

use crate::Error;
use crate::error::Fault;

pub use index::{Index, Progress};
pub use query::{Hit, Hits, Piece, Search, Searcher};

/// Whatever is wrong with the index, it is not the state's fault, which another replica would have
/// to mend.
fn failed(fault: Fault, path: &Path) -> Error {
    Error::SearchIndex {
        path: path.to_path_buf(),
        found: match fault {
            Fault::Sqlite(source) => source.to_string(),
            Fault::Damaged(found) => found,
            Fault::Fatal(error) => error.to_string(),
        },
    }
}
