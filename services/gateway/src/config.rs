//! The settings of `gateway`.

use std::path::PathBuf;

use ops::config::{Faults, Settings};
use serde::{Deserialize, Serialize};

/// See [`Settings::FIELDS`] for the words that `--help` shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// host:port of the public HTTP server.
    pub listen: String,
    /// URL of the membership service.
    pub membership: String,
    /// Replicas to ask when the membership service does not answer at start.
    pub replicas: Vec<String>,
    /// host:port of the metrics; empty: nowhere.
    pub metrics: String,
    /// Directory with the certificate of this gateway for the other services. Empty: plain text.
    pub tls: PathBuf,
    /// Directory with the certificate that browsers see. Empty: plain HTTP.
    pub certificate: PathBuf,
    /// The gateway's name for people.
    pub name: String,
    /// Origins of pages that may use this gateway besides its own.
    pub public_origins: Vec<String>,
    /// Requests per second and person in the long run.
    pub sends_per_second: u32,
    /// Requests of a person at once.
    pub sends_burst: u32,
    /// New accounts per second on this gateway.
    pub sign_ups_per_second: u32,
    /// Tries of a password per minute and account.
    pub sign_ins_per_minute: u32,
    /// Tries of a password per minute and address.
    pub sign_ins_per_minute_address: u32,
    /// Memory of one hash of a password, in KiB.
    pub argon2_memory_kib: u32,
    /// Passes of one hash of a password.
    pub argon2_passes: u32,
    /// Whether a proxy stands in front, which writes `X-Forwarded-For`.
    pub behind_proxy: bool,
    /// Open sockets per person.
    pub sockets_per_user: u32,
    /// Open sockets in all.
    pub sockets: u32,
    /// Open connections of the public port in all, sockets included.
    pub connections: u32,
    /// The same of one address; not counted behind a proxy.
    pub connections_per_address: u32,
    /// HTTP requests per second and address in the long run; twice as many at once.
    pub requests_per_second_address: u32,
    /// Whether owners and admins may break replicas from the cluster panel.
    pub demo: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:1050".to_owned(),
            membership: "http://127.0.0.1:1051".to_owned(),
            replicas: Vec::new(),
            metrics: String::new(),
            tls: PathBuf::new(),
            certificate: PathBuf::new(),
            name: "gateway".to_owned(),
            public_origins: Vec::new(),
            sends_per_second: 10,
            sends_burst: 20,
            sign_ups_per_second: 50,
            sign_ins_per_minute: 10,
            sign_ins_per_minute_address: 60,
            argon2_memory_kib: 19 * 1024,
            argon2_passes: 2,
            behind_proxy: false,
            sockets_per_user: 16,
            sockets: 10_000,
            connections: 12_000,
            connections_per_address: 1_000,
            requests_per_second_address: 500,
            demo: false,
        }
    }
}

impl Options {
    /// Whether the public port speaks TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }

    fn check_counts(&self, faults: &mut Faults) {
        for (key, value) in [
            ("sends_per_second", self.sends_per_second),
            ("sends_burst", self.sends_burst),
            ("sign_ups_per_second", self.sign_ups_per_second),
            ("sign_ins_per_minute", self.sign_ins_per_minute),
            (
                "sign_ins_per_minute_address",
                self.sign_ins_per_minute_address,
            ),
            ("sockets_per_user", self.sockets_per_user),
            ("sockets", self.sockets),
            ("connections", self.connections),
            ("connections_per_address", self.connections_per_address),
            (
                "requests_per_second_address",
                self.requests_per_second_address,
            ),
        ] {
            faults.check(
                (1..=1_000_000).contains(&value),
                key,
                format!("{value} must be 1 to 1000000"),
            );
        }
    }
}

impl Settings for Options {
    const PROGRAM: &'static str = "gateway";
    const PREFIX: &'static str = "CHATTERBOX_GATEWAY_";
    const ABOUT: &'static str = "Serves the page and its WebSocket; talks to the replicas.";
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("listen", "host:port on which people reach it."),
        (
            "membership",
            "URL of the membership service, http://host:port.",
        ),
        (
            "replicas",
            "host:port of replicas, asked for the others when membership is away at start.",
        ),
        (
            "metrics",
            "Where to serve metrics, host:port; nowhere when empty.",
        ),
        (
            "tls",
            "Directory of ca.crt, tls.crt and tls.key for mutual TLS with the other services; \
             plain text when empty.",
        ),
        (
            "certificate",
            "Directory of tls.crt and tls.key for people's browsers (HTTPS); plain HTTP when empty.",
        ),
        ("name", "Name of this gateway, shown in the cluster panel."),
        (
            "public_origins",
            "Origins such as https://chat.example.org under which a proxy shows this gateway.",
        ),
        (
            "sends_per_second",
            "Requests per second and person in the long run.",
        ),
        ("sends_burst", "Requests of a person at once."),
        (
            "sign_ups_per_second",
            "New accounts per second on this gateway.",
        ),
        (
            "sign_ins_per_minute",
            "Tries of a password per minute and account.",
        ),
        (
            "sign_ins_per_minute_address",
            "Tries of a password per minute and address.",
        ),
        (
            "argon2_memory_kib",
            "Memory of one hash of a password, in KiB; less than the default is for tests.",
        ),
        (
            "argon2_passes",
            "Passes of one hash of a password; less than the default is for tests.",
        ),
        (
            "behind_proxy",
            "true: a proxy in front writes X-Forwarded-For, whose last entry is the client.",
        ),
        ("sockets_per_user", "Open sockets per person."),
        ("sockets", "Open sockets in all."),
        (
            "connections",
            "Open connections of the public port in all, sockets included.",
        ),
        (
            "connections_per_address",
            "Open connections of one address (of IPv6: of one /64); not counted behind a proxy.",
        ),
        (
            "requests_per_second_address",
            "HTTP requests per second and address in the long run; twice as many at once.",
        ),
        (
            "demo",
            "true: admins may kill, pause and cut off replicas that have the same setting.",
        ),
    ];

    fn validate(&self, faults: &mut Faults) {
        faults.check(
            self.argon2_memory_kib <= 1024 * 1024
                && self.argon2_passes <= 100
                && crate::passwords::params(self).is_some(),
            "argon2_memory_kib",
            format!(
                "{} KiB with {} passes: 8 to 1048576 KiB and 1 to 100 passes are possible",
                self.argon2_memory_kib, self.argon2_passes
            ),
        );
        faults.check(
            ops::net::host_and_port(&self.listen).is_some(),
            "listen",
            format!(
                "`{}` must be host:port, such as 127.0.0.1:1050",
                self.listen
            ),
        );
        let service = self
            .membership
            .strip_prefix("http://")
            .map(|rest| rest.trim_end_matches('/'));
        faults.check(
            service.and_then(ops::net::host_and_port).is_some(),
            "membership",
            format!("`{}` must be http://host:port", self.membership),
        );
        for replica in &self.replicas {
            faults.check(
                ops::net::host_and_port(replica).is_some(),
                "replicas",
                format!("`{replica}` must be host:port"),
            );
        }
        faults.check(
            !self.name.trim().is_empty() && self.name.len() <= 64,
            "name",
            "must have 1 to 64 bytes",
        );
        for origin in &self.public_origins {
            let host = origin.split_once("://");
            faults.check(
                matches!(host, Some(("http" | "https", host)) if !host.is_empty() && !host.contains('/')),
                "public_origins",
                format!("`{origin}` must be scheme://host or scheme://host:port, without a path"),
            );
        }
        self.check_counts(faults);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(options: &Options) -> String {
        let mut faults = Faults::of(Options::PROGRAM);
        options.validate(&mut faults);
        faults.to_string()
    }

    #[test]
    fn all_faults_are_named_at_once() {
        let said = faults(&Options {
            listen: "nonsense".to_owned(),
            membership: "ftp://x".to_owned(),
            public_origins: vec!["chat.example.org".to_owned()],
            sockets: 0,
            ..Options::default()
        });
        for key in [
            "listen",
            "nonsense",
            "membership",
            "public_origins",
            "sockets",
        ] {
            assert!(said.contains(key), "{key}: {said}");
        }
    }

    #[test]
    fn the_defaults_are_valid() {
        let mut faults = Faults::of(Options::PROGRAM);
        Options::default().validate(&mut faults);
        assert!(faults.is_empty(), "{faults}");
    }
}
