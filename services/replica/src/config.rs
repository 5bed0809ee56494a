//! The settings of a replica.

use std::path::PathBuf;

use ops::config::{Faults, Settings};
use serde::{Deserialize, Serialize};

use crate::limits;

/// Everything that an operator may set. See [`Settings::FIELDS`] for the words of `--help`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where to listen, `host:port`.
    pub listen: String,
    /// How the others reach this replica, `host:port`. Empty: as `listen`.
    pub advertise: String,
    /// The directory of log.db and state.db. Made if it is not there.
    pub data: PathBuf,
    /// The membership service, `http://host:port`.
    pub membership: String,
    /// The name that the cluster must have. Empty: any.
    pub cluster: String,
    /// Directory with the certificate of this replica. Empty: plain text.
    pub tls: PathBuf,
    /// Threads of the runtime. 0: one per core, 2 to 4.
    pub worker_threads: usize,
    /// Connections that read the state at the same time.
    pub readers: usize,
    /// How much decided log is kept for others that are behind, in MiB.
    pub keep_log_mib: u64,
    /// Where to serve metrics, `host:port`. Empty: nowhere.
    pub metrics: String,
    /// Whether gateways may break this replica on purpose.
    pub demo: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:1061".to_owned(),
            advertise: String::new(),
            data: PathBuf::from("data/replica"),
            membership: "http://127.0.0.1:1051".to_owned(),
            cluster: String::new(),
            tls: PathBuf::new(),
            worker_threads: 0,
            readers: 2,
            keep_log_mib: 64,
            metrics: String::new(),
            demo: false,
        }
    }
}

impl Settings for Options {
    const PROGRAM: &'static str = "replica";
    const PREFIX: &'static str = "CHATTERBOX_REPLICA_";
    const ABOUT: &'static str = "One replica of the replicated log and of the state behind it.";
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("listen", "Where to listen, host:port."),
        (
            "advertise",
            "How the others reach this replica, host:port; as `listen` when empty.",
        ),
        (
            "data",
            "The directory of log.db and state.db; one per replica.",
        ),
        ("membership", "The membership service, http://host:port."),
        (
            "cluster",
            "Refuse a directory that belongs to a cluster of another name.",
        ),
        (
            "tls",
            "Directory of ca.crt, tls.crt and tls.key for mutual TLS with the other services; \
             plain text when empty.",
        ),
        (
            "worker_threads",
            "Threads of the runtime; 0 is one per core, 2 to 4.",
        ),
        (
            "readers",
            "Connections that read the state at the same time.",
        ),
        (
            "keep_log_mib",
            "Decided log kept for replicas that are behind, in MiB; one behind that needs a \
             snapshot.",
        ),
        (
            "metrics",
            "Where to serve metrics, host:port; nowhere when empty.",
        ),
        (
            "demo",
            "true: gateways may kill, pause and cut off this replica. Never where people work.",
        ),
    ];

    fn validate(&self, faults: &mut Faults) {
        check_address(faults, "listen", &self.listen);
        if !self.advertise.is_empty() {
            check_address(faults, "advertise", &self.advertise);
        }
        if !self.metrics.is_empty() {
            check_address(faults, "metrics", &self.metrics);
        }
        faults.check(
            !is_wildcard(self.advertised()) || self.advertised().ends_with(":0"),
            "advertise",
            format!(
                "{} is no address that others can reach; set advertise",
                self.advertised()
            ),
        );
        faults.check(
            self.membership
                .strip_prefix("http://")
                .is_some_and(has_port),
            "membership",
            format!("`{}` must be http://host:port", self.membership),
        );
        faults.check(
            !self.data.as_os_str().is_empty(),
            "data",
            "must name a directory",
        );
        faults.check(
            self.worker_threads <= 64,
            "worker_threads",
            "must be 0 to 64",
        );
        faults.check(
            (1..=limits::READERS_MAX).contains(&self.readers),
            "readers",
            format!("must be 1 to {}", limits::READERS_MAX),
        );
        faults.check(
            (1..=limits::KEEP_LOG_MIB_MAX).contains(&self.keep_log_mib),
            "keep_log_mib",
            format!("must be 1 to {}", limits::KEEP_LOG_MIB_MAX),
        );
    }
}

impl Options {
    /// How the others reach this replica, as configured.
    #[must_use]
    pub fn advertised(&self) -> &str {
        if self.advertise.is_empty() {
            &self.listen
        } else {
            &self.advertise
        }
    }

    /// The setting `keep_log_mib`, in bytes.
    #[must_use]
    pub const fn keep_log_bytes(&self) -> u64 {
        self.keep_log_mib << 20
    }

    /// Threads of the runtime. Two at least, so that one that is held up (a failpoint, a slow
    /// system call) does not stop the others; four at most, because the work is on the driver,
    /// the log's writer and the state machine, which have threads of their own.
    #[must_use]
    pub fn runtime_threads(&self) -> usize {
        match self.worker_threads {
            0 => std::thread::available_parallelism()
                .map_or(2, usize::from)
                .clamp(2, 4),
            threads => threads,
        }
    }
}

fn check_address(faults: &mut Faults, key: &str, address: &str) {
    faults.check(
        has_port(address),
        key,
        format!("`{address}` must be host:port"),
    );
}

fn has_port(address: &str) -> bool {
    address
        .trim_end_matches('/')
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn is_wildcard(address: &str) -> bool {
    address.starts_with("0.0.0.0:") || address.starts_with("[::]:")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::Options;
    use ops::config::{Request, load};

    fn loaded(env: &[(&str, &str)]) -> Result<Options, String> {
        let env = env.iter().map(|(key, value)| {
            let name = format!("CHATTERBOX_REPLICA_{key}");
            (OsString::from(name), OsString::from(value))
        });
        match load::<Options>([OsString::from("replica")], env) {
            Ok(Request::Run(loaded)) => Ok(loaded.into_settings()),
            Ok(Request::Print(text)) => Err(text),
            Err(faults) => Err(faults.to_string()),
        }
    }

    #[test]
    fn the_environment_sets_everything() {
        let options = loaded(&[
            ("LISTEN", "0.0.0.0:1061"),
            ("ADVERTISE", "replica-1:1061"),
            ("DATA", "/data"),
            ("MEMBERSHIP", "http://membership:1051"),
        ])
        .expect("valid");
        assert_eq!(options.advertised(), "replica-1:1061");
        assert_eq!(options.data.to_str(), Some("/data"));
    }

    #[test]
    fn all_faults_are_said_at_once() {
        let said = loaded(&[
            ("LISTEN", "nonsense"),
            ("MEMBERSHIP", "membership"),
            ("READERS", "0"),
        ])
        .expect_err("three faults");
        for word in ["listen", "nonsense", "membership", "readers"] {
            assert!(said.contains(word), "{word} is not in: {said}");
        }
    }

    #[test]
    fn a_wildcard_needs_an_address_to_advertise() {
        let said = loaded(&[("LISTEN", "0.0.0.0:1061")]).expect_err("nobody can dial 0.0.0.0");
        assert!(said.contains("advertise"), "{said}");
    }
}
