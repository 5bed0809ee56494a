//! The real core, checked exhaustively in small worlds.
//!
//! The simulator runs long histories drawn at random; this crate runs *every* history of a
//! small world: every order of messages, every duplication and loss, every moment at which a
//! disk answers or a process dies, within bounds on how often somebody campaigns, proposes or
//! crashes. `cargo run --profile model -p model -- list` names the worlds.
//!
//! What is checked is `paxos::Core` itself, not a description of it. `removed/` holds a patch
//! for each rule of the protocol that takes the rule away: with each of them a world must find
//! a counter-example, which shows that the worlds can see.

pub mod fault;
pub mod world;
pub mod worlds;

pub mod disk;
pub mod node;
pub mod said;

pub mod history;
pub mod summary;
pub mod tables;

pub mod moves;
pub mod opening;
pub mod step;
pub mod system;

pub mod checker;
