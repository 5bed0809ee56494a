//! What a run of the workload is.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::limits::{CLIENTS_MAX, RATE_PER_CLIENT_MAX, ROOMS_MAX, ROOMS_PER_CLIENT_MAX};

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the histories go: `FOLDER/clients/NAME.jsonl`.
    pub folder: PathBuf,
    /// `http://host:port` of each gateway.
    pub gateways: Vec<String>,
    /// How many people, 1 to 1000.
    pub clients: usize,
    /// How many rooms they have together, 1 to 1000.
    pub rooms: usize,
    /// To how many of them each writes, 1 to 8 and at most `rooms`.
    pub rooms_per_client: usize,
    /// Messages per second of all together; at most 9 for each client, as a gateway takes 10.
    pub rate: f64,
    /// What they do is drawn from it. (When they do it depends on the cluster as well.)
    pub seed: u64,
    /// How long a text is, at least; 1 to 4096.
    pub body_bytes: usize,
    /// Each goes to another gateway about this often, in the middle of whatever it does.
    pub reconnect_every: Duration,
    /// Each reads a page of history about this often.
    pub read_every: Duration,
    /// Each joins one more room or leaves it about this often.
    pub visit_every: Duration,
    /// One of so many messages goes to a room that the writer may not be in: it is refused for
    /// good, and must never be shown. 0: none.
    pub stray_one_in: u32,
    /// Instead of one of so many messages a person edits or deletes an own one. 0: none.
    pub change_one_in: u32,
    /// Instead of one of so many messages a person says how far it has read. 0: none.
    pub mark_one_in: u32,
}

impl Options {
    /// A run with the usual habits: 40 people in 16 rooms, two for each, 300 messages per second.
    #[must_use]
    pub fn new(folder: PathBuf, gateways: Vec<String>) -> Self {
        Self {
            folder,
            gateways,
            clients: 40,
            rooms: 16,
            rooms_per_client: 2,
            rate: 300.0,
            seed: 1,
            body_bytes: 64,
            reconnect_every: Duration::from_secs(20),
            read_every: Duration::from_secs(4),
            visit_every: Duration::from_secs(15),
            stray_one_in: 400,
            change_one_in: 12,
            mark_one_in: 12,
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        ensure!(
            !self.gateways.is_empty(),
            "gateways: name at least one, as http://host:port"
        );
        let in_range = |name: &str, value: usize, max: usize| {
            ensure!(
                (1..=max).contains(&value),
                "{name} is {value}: must be 1 to {max}"
            );
            Ok(())
        };
        in_range("clients", self.clients, CLIENTS_MAX)?;
        in_range("rooms", self.rooms, ROOMS_MAX)?;
        in_range(
            "rooms_per_client",
            self.rooms_per_client,
            ROOMS_PER_CLIENT_MAX.min(self.rooms),
        )?;
        in_range("body_bytes", self.body_bytes, 4096)?;
        let rate_max = RATE_PER_CLIENT_MAX * self.clients as f64;
        ensure!(
            self.rate > 0.0 && self.rate <= rate_max,
            "rate is {} per second: {} clients send at most {rate_max}; take more clients",
            self.rate,
            self.clients
        );
        for (name, every) in [
            ("reconnect_every", self.reconnect_every),
            ("read_every", self.read_every),
            ("visit_every", self.visit_every),
        ] {
            ensure!(
                every >= Duration::from_millis(100),
                "{name} is {every:?}: must be at least 100 ms"
            );
        }
        Ok(())
    }

    /// The time between two messages of one client.
    pub(crate) fn pace(&self) -> Duration {
        Duration::from_secs_f64(self.clients as f64 / self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run that cannot be is refused in words that name the setting.
    #[test]
    fn settings_are_judged() {
        let good = Options::new(PathBuf::new(), vec!["http://127.0.0.1:1".to_owned()]);
        assert!(good.validate().is_ok());
        assert_eq!(good.pace().as_millis(), 133);
        let fast = Options {
            rate: 1000.0,
            ..good.clone()
        };
        let words = fast.validate().expect_err("too fast").to_string();
        assert!(words.contains("take more clients"), "{words}");
        let alone = Options {
            gateways: Vec::new(),
            ..good.clone()
        };
        assert!(alone.validate().is_err());
        let roomless = Options { rooms: 1, ..good };
        let words = roomless.validate().expect_err("2 of 1").to_string();
        assert!(words.contains("rooms_per_client is 2"), "{words}");
    }
}
