//! The local cluster: the same programs as in containers, as child processes on loopback.
//!
//! `up` starts a supervisor, which starts and restarts the rest; they talk through files in the
//! data directory: `cluster.json` (what runs where) and `supervisor.lock` (whether it runs).

pub(crate) mod down;
pub(crate) mod keep;
pub(crate) mod logs;
pub(crate) mod plan;
pub(crate) mod purge;
pub(crate) mod ready;
pub(crate) mod rotate;
pub(crate) mod signal;
pub(crate) mod state;
pub(crate) mod supervise;
pub(crate) mod up;
