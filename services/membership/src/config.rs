//! The settings of `membership`.

use std::path::PathBuf;

use ops::config::{Faults, Settings};
use serde::{Deserialize, Serialize};

use crate::limits::{NAME_BYTES_MAX, REPLICAS_MAX, VOTERS_MIN, WAIT_MS_MAX};

/// See [`Settings::FIELDS`] for the words that `--help` shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// host:port of the gRPC server.
    pub listen: String,
    /// host:port of the metrics; empty: nowhere.
    pub metrics: String,
    /// Directory of `membership.json`.
    pub data: PathBuf,
    /// The operator's name of the cluster; a disk of a cluster of another name is refused.
    pub cluster: String,
    /// Directory with the certificate of this service. Empty: plain text.
    pub tls: PathBuf,
    /// How many replicas the first configuration has.
    pub replicas: usize,
    /// How often replicas and gateways are told to send a heartbeat.
    pub heartbeat_ms: u32,
    /// Silence after which a server is suspected.
    pub suspect_after_ms: u64,
    /// How many voters the cluster is brought to; 0: as many as there are.
    pub voters: usize,
    /// The cluster is brought to as many voters as replicas run: the largest odd number.
    pub voters_auto: bool,
    /// A voter that this service and a majority of the voters miss for so long is replaced.
    pub replace_after_ms: u64,
    /// Between two changes of the voters.
    pub change_pause_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:1051".to_owned(),
            metrics: String::new(),
            data: PathBuf::from("./data/membership"),
            cluster: "chatterbox".to_owned(),
            tls: PathBuf::new(),
            replicas: 3,
            heartbeat_ms: 500,
            suspect_after_ms: 1500,
            voters: 0,
            voters_auto: false,
            replace_after_ms: 10_000,
            change_pause_ms: 60_000,
        }
    }
}

impl Settings for Options {
    const PROGRAM: &'static str = "membership";
    const PREFIX: &'static str = "CHATTERBOX_MEMBERSHIP_";
    const ABOUT: &'static str =
        "Registers replicas, forms the first configuration of a cluster, replaces the dead.";
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("listen", "host:port on which it answers."),
        (
            "metrics",
            "Where to serve metrics, host:port; nowhere when empty.",
        ),
        (
            "data",
            "Directory of its only file, a cache of what the replicas hold.",
        ),
        (
            "cluster",
            "Name of the cluster; disks of a cluster of another name are refused.",
        ),
        (
            "tls",
            "Directory of ca.crt, tls.crt and tls.key for mutual TLS with the other services; \
             plain text when empty.",
        ),
        (
            "replicas",
            "How many replicas the first configuration has, 1 to 7.",
        ),
        (
            "heartbeat_ms",
            "How often replicas and gateways report, in milliseconds.",
        ),
        (
            "suspect_after_ms",
            "Silence after which a server is suspected, in milliseconds.",
        ),
        (
            "voters",
            "How many voters to bring the cluster to by standbys: 3, 5, 7; 0: as many as there are.",
        ),
        (
            "voters_auto",
            "Bring the cluster to the largest odd number of voters, 3 to 7, for which replicas run.",
        ),
        (
            "replace_after_ms",
            "Silence, here and for a majority of the voters, after which a voter is replaced.",
        ),
        (
            "change_pause_ms",
            "Pause between two changes of the voters, in milliseconds.",
        ),
    ];

    fn validate(&self, faults: &mut Faults) {
        faults.check(
            ops::net::host_and_port(&self.listen).is_some(),
            "listen",
            format!(
                "`{}` must be host:port, such as 127.0.0.1:1051",
                self.listen
            ),
        );
        faults.check(
            (1..=REPLICAS_MAX).contains(&self.replicas),
            "replicas",
            format!("{} must be 1 to {REPLICAS_MAX}", self.replicas),
        );
        let name = self.cluster.trim();
        faults.check(
            !name.is_empty() && name.len() <= NAME_BYTES_MAX,
            "cluster",
            format!("the name must have 1 to {NAME_BYTES_MAX} bytes"),
        );
        faults.check(
            !self.data.as_os_str().is_empty(),
            "data",
            "the directory must not be empty",
        );
        faults.check(
            (50..=10_000).contains(&self.heartbeat_ms),
            "heartbeat_ms",
            format!("{} must be 50 to 10000", self.heartbeat_ms),
        );
        // One lost heartbeat must not be a suspicion.
        faults.check(
            self.suspect_after_ms >= 2 * u64::from(self.heartbeat_ms),
            "suspect_after_ms",
            format!(
                "{} must be at least twice heartbeat_ms",
                self.suspect_after_ms
            ),
        );
        // An even number survives no more than the odd one below it.
        let sensible = (VOTERS_MIN..=REPLICAS_MAX).contains(&self.voters) && self.voters % 2 == 1;
        faults.check(
            self.voters == 0 || sensible,
            "voters",
            format!("{} must be 0, 3, 5 or 7", self.voters),
        );
        faults.check(
            self.voters == 0 || !self.voters_auto,
            "voters_auto",
            "a number of voters is set as well: one of the two",
        );
        faults.check(
            (self.suspect_after_ms..=WAIT_MS_MAX).contains(&self.replace_after_ms),
            "replace_after_ms",
            format!(
                "{} must be suspect_after_ms to {WAIT_MS_MAX}",
                self.replace_after_ms
            ),
        );
        faults.check(
            self.change_pause_ms <= WAIT_MS_MAX,
            "change_pause_ms",
            format!("{} must be 0 to {WAIT_MS_MAX}", self.change_pause_ms),
        );
    }
}

impl Options {
    /// Refuses a certificate of another cluster: each other service would be refused later, and
    /// nobody would know why.
    ///
    /// # Errors
    /// When the certificate names another cluster than the setting.
    pub fn require_cluster(&self, tls: &tls::Mutual) -> anyhow::Result<()> {
        if let Some(identity) = tls.identity()
            && identity.cluster != self.cluster.trim()
        {
            anyhow::bail!(
                "the certificate in {} is of the cluster {}, the setting cluster is {}: issue \
                 certificates for this cluster, or correct CHATTERBOX_MEMBERSHIP_CLUSTER",
                self.tls.display(),
                identity.cluster,
                self.cluster
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ops::config::{Faults, Settings};

    use super::Options;

    #[test]
    fn the_defaults_are_valid_and_every_fault_is_said() {
        let mut faults = Faults::of("membership");
        Options::default().validate(&mut faults);
        assert!(faults.is_empty(), "{faults}");
        let wrong = Options {
            listen: "nonsense".to_owned(),
            cluster: " ".to_owned(),
            replicas: 8,
            heartbeat_ms: 1000,
            voters: 4,
            voters_auto: true,
            replace_after_ms: 1000,
            change_pause_ms: u64::MAX,
            ..Options::default()
        };
        wrong.validate(&mut faults);
        assert_eq!(faults.as_slice().len(), 8, "{faults}");
    }
}
