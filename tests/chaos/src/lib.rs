//! Kills, cuts off, wipes and replaces nodes under load, and proves from every client's history
//! that nothing was lost.
//!
//! 1. [`schedule`] draws steps from the seed, of the kinds in [`kind`].
//! 2. [`nemesis`] carries them out on a [`ground`], while [`watch`] looks at the cluster.

pub mod clock;
pub mod evidence;
pub mod figures;
pub mod ground;
pub mod kind;
pub mod limits;
pub mod nemesis;
pub mod options;
pub mod progress;
pub mod record;
pub mod report;
pub mod run;
pub mod schedule;
pub mod table;
pub mod watch;
