//! Where a cluster runs, and what can be done to it there.
//!
//! The nemesis knows kinds of faults and speaks to a [`Ground`]; a ground knows processes or
//! containers and speaks to the operating system. Each operation is small and certain: it is done
//! when it returns `Ok`; after an error nobody knows. A fault is a few of them.

mod command;
pub mod compose;
mod disk;
pub mod kubernetes;
pub mod local;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::kind::Kind;

/// The settings of gateways in containers that differ from what people use: clients of a test write
/// faster.
const FAST_CLIENTS: [(&str, &str); 6] = [
    ("CHATTERBOX_GATEWAY_SENDS_PER_SECOND", "10000"),
    ("CHATTERBOX_GATEWAY_SENDS_BURST", "10000"),
    ("CHATTERBOX_GATEWAY_SIGN_UPS_PER_SECOND", "10000"),
    ("CHATTERBOX_GATEWAY_SOCKETS_PER_USER", "1000"),
    ("CHATTERBOX_GATEWAY_CONNECTIONS_PER_ADDRESS", "10000"),
    ("CHATTERBOX_GATEWAY_REQUESTS_PER_SECOND_ADDRESS", "10000"),
];

/// The name of a process or container: `replica3`, `gateway1`, `membership`.
pub type Name = String;

/// A replica that was not retired.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its name.
    pub name: Name,
    /// host:port of its gRPC, which no fault of the network disturbs.
    pub address: String,
}

/// What goes from one process to another, one way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Link {
    /// Who sends.
    pub from: Name,
    /// Who is sent to.
    pub to: Name,
}

/// How links between replicas behave that are not cut.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Weather {
    /// Everything arrives later by so many milliseconds …
    pub delay_ms: u64,
    /// … and by up to so many more, at random.
    pub jitter_ms: u64,
    /// Of a thousand pieces of data so many are lost and sent again, which stalls what follows.
    pub lost_per_mille: u64,
    /// Of a hundred thousand pieces of data, at so many the connection breaks.
    pub broken_per_100k: u64,
}

/// What is done to the files of a replica that does not run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// Some bits of one file have the other value.
    BitFlip,
    /// One file ends earlier.
    Truncate,
}

/// Where a cluster runs.
///
/// Names are checked by nobody: a name that does not exist is an error.
pub trait Ground: Send {
    /// As in `MODE=`.
    fn mode(&self) -> &'static str;

    /// Why a kind of fault cannot be had here; `None` when it can.
    fn obstacle(&self, kind: Kind) -> Option<String>;

    /// Whether what was killed comes back by itself, at once. Then nobody can say when a majority
    /// was dead.
    fn revives(&self) -> bool {
        false
    }

    /// The replicas that were not retired, in the order in which they came.
    fn replicas(&self) -> Vec<Place>;

    /// The names of the gateways.
    fn gateways(&self) -> Vec<Name>;

    /// `http://host:port` of each gateway, for clients.
    fn gateway_urls(&self) -> Vec<String>;

    /// The name of the membership service.
    fn membership(&self) -> Name;

    /// `http://host:port` of the membership service, which no fault of the network disturbs.
    fn membership_url(&self) -> String;

    /// Processes that should run and do not: they ended by themselves.
    fn fallen(&mut self) -> Vec<Name>;

    /// The end of what a process printed.
    fn tail(&self, name: &str) -> String;

    /// `kill -9`, of all at once, and waits until they are gone.
    fn kill(&mut self, names: &[Name]) -> impl Future<Output = Result<()>> + Send;

    /// As [`Ground::kill`], and what was not synced is gone from their disks. Says how much.
    fn power_off(
        &mut self,
        names: &[Name],
        seed: u64,
    ) -> impl Future<Output = Result<String>> + Send;

    /// Asks it to end (SIGTERM) and waits until it has.
    fn stop(&mut self, name: &str) -> impl Future<Output = Result<()>> + Send;

    /// Starts what was killed or stopped, on the disk that it had; nothing when it runs.
    fn start(&mut self, name: &str) -> impl Future<Output = Result<()>> + Send;

    /// Lets it stand still (SIGSTOP).
    fn pause(&mut self, name: &str) -> impl Future<Output = Result<()>> + Send;

    /// Lets it go on (SIGCONT).
    fn resume(&mut self, name: &str) -> impl Future<Output = Result<()>> + Send;

    /// From now on these links are cut, and no others; the others have this weather.
    fn network(
        &mut self,
        cut: &BTreeSet<Link>,
        weather: Weather,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Empties the disk of a replica that does not run.
    fn erase(&mut self, name: &str) -> impl Future<Output = Result<()>> + Send;

    /// Forgets a replica that does not run, for good, with its disk.
    fn retire(&mut self, name: &str) -> impl Future<Output = Result<()>> + Send;

    /// Starts a replica that was never there, on an empty disk.
    fn add_replica(&mut self) -> impl Future<Output = Result<Name>> + Send;

    /// Leaves hardly any space on the disk of a replica, which may restart for it.
    fn fill_disk(&mut self, name: &str) -> impl Future<Output = Result<()>> + Send;

    /// Gives the space back, if it was taken; the replica may restart for it.
    fn free_disk(&mut self, name: &str) -> impl Future<Output = Result<()>> + Send;

    /// Damages the files of a replica that does not run. Says which.
    fn damage(
        &mut self,
        name: &str,
        damage: Damage,
        seed: u64,
    ) -> impl Future<Output = Result<String>> + Send;

    /// From now on the wall clock of a replica is off by so many milliseconds.
    fn shift_clock(&mut self, name: &str, ms: i64) -> impl Future<Output = Result<()>> + Send;

    /// Cordons and drains the machine of a replica, as for its maintenance. Says how far it came.
    fn drain(&mut self, name: &str) -> impl Future<Output = Result<String>> + Send {
        let words = format!("{name} cannot leave this machine");
        async move { bail!(words) }
    }

    /// Lets machines that were drained have pods again.
    fn undrain(&mut self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Lets so many vote, as an operator does it here.
    fn scale(&mut self, voters: usize) -> impl Future<Output = Result<()>> + Send {
        let words = format!("nothing here makes {voters} voters");
        async move { bail!(words) }
    }

    /// Restarts everything as an operator does it here, if there is such a way. Says which.
    fn roll(&mut self) -> impl Future<Output = Result<Option<String>>> + Send {
        async { Ok(None) }
    }

    /// Whether what the replicas hold stays when everything has ended: to look into a violation.
    fn keep_data(&mut self, keep: bool);

    /// Where this machine has the files of a replica.
    fn data(&self, name: &str) -> impl Future<Output = Result<PathBuf>> + Send;
}
