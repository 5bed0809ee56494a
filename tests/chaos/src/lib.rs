//! Kills, cuts off, wipes and replaces nodes under load, and proves from every client's history
//! that nothing was lost.

pub mod record;
pub mod report;
