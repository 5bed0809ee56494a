//! What is wrong is found: one history or more for each kind of violation, near misses that must
//! not be called one, and whatever a random hand does to a correct history.

#![allow(
    clippy::expect_used,
    clippy::too_many_lines,
    clippy::type_complexity,
    reason = "a table is as long as its cases; what a case needs and does not find ends the test"
)]

mod edit;
mod mutations;
mod near_misses;
mod violations;

use checker::synthetic::{History, Size};

/// A correct history with everything in it that a run has.
fn correct() -> History {
    History::generate(7, SIZE)
}

const SIZE: Size = Size {
    clients: 4,
    rooms: 3,
    steps: 150,
};
