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
    /// Networks of the proxies in front, whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// Directory with the certificate that people's browsers see. Empty: plain HTTP.
    pub public_tls: PathBuf,
    /// Connections in all.
    pub connections: u32,
    /// Connections of one address.
    pub connections_per_address: u32,
    /// HTTP requests per second and address in the long run; twice as many at once.
    pub requests_per_second_address: u32,
    /// Bytes of the head of a request.
    pub head_bytes: u32,
    /// Header lines of a request.
    pub head_lines: u32,
    /// Time in ms for the head of a request, from its first byte or from the connection's begin.
    pub head_timeout_ms: u32,
    /// Time in ms for the body of a request.
    pub body_timeout_ms: u32,
    /// Time in ms between two requests of a connection.
    pub idle_timeout_ms: u32,
    /// Time in ms for which a client may take nothing of an answer.
    pub stall_timeout_ms: u32,
    /// Frames per second and socket in the long run, besides the requests of `sends_per_second`.
    pub frames_per_second: u32,
    /// Frames of a socket at once, besides the requests of `sends_burst`.
    pub frames_burst: u32,
    /// Open sockets per person.
    pub sockets_per_user: u32,
    /// Open sockets in all.
    pub sockets: u32,
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
            name: "gateway".to_owned(),
            public_origins: Vec::new(),
            sends_per_second: 10,
            sends_burst: 20,
            sign_ups_per_second: 50,
            sign_ins_per_minute: 10,
            sign_ins_per_minute_address: 60,
            argon2_memory_kib: 19 * 1024,
            argon2_passes: 2,
            trusted_proxies: Vec::new(),
            public_tls: PathBuf::new(),
            connections: 16_000,
            connections_per_address: 1_000,
            requests_per_second_address: 500,
            head_bytes: 16 * 1024,
            head_lines: 64,
            head_timeout_ms: 10_000,
            body_timeout_ms: 10_000,
            idle_timeout_ms: 75_000,
            stall_timeout_ms: 30_000,
            frames_per_second: 20,
            // To mark all rooms as read, or to come back with an outbox, takes a frame for each room.
            // Fewer than fit into the queue of answers: a flood is called one, not a slow reader.
            frames_burst: 400,
            sockets_per_user: 16,
            sockets: 10_000,
            demo: false,
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
            "trusted_proxies",
            "Networks of proxies in front, such as 10.0.0.0/8, whose X-Forwarded-For is believed; \
             limits per address are then of the client's address.",
        ),
        (
            "public_tls",
            "Directory of tls.crt and tls.key for HTTPS on the public port; plain HTTP when empty.",
        ),
        (
            "connections",
            "Connections to the public port in all, sockets included.",
        ),
        (
            "connections_per_address",
            "Connections of one address (IPv6: of one /64), sockets included.",
        ),
        (
            "requests_per_second_address",
            "HTTP requests per second and address in the long run; twice as many at once.",
        ),
        (
            "head_bytes",
            "Bytes of the head of a request, with its first line.",
        ),
        ("head_lines", "Header lines of a request."),
        (
            "head_timeout_ms",
            "Milliseconds for a TLS handshake, and for the head of a request from its first byte.",
        ),
        ("body_timeout_ms", "Milliseconds for the body of a request."),
        (
            "idle_timeout_ms",
            "Milliseconds between two requests of a connection; longer than a proxy in front waits.",
        ),
        (
            "stall_timeout_ms",
            "Milliseconds for which a client may take nothing of an answer.",
        ),
        (
            "frames_per_second",
            "Frames per second and socket, besides the requests of sends_per_second.",
        ),
        (
            "frames_burst",
            "Frames of a socket at once, besides the requests of sends_burst.",
        ),
        ("sockets_per_user", "Open sockets per person."),
        ("sockets", "Open sockets in all."),
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
        for network in &self.trusted_proxies {
            faults.check(
                crate::port::proxies::network(network).is_some(),
                "trusted_proxies",
                format!("`{network}` must be a network or an address, such as 10.0.0.0/8"),
            );
        }
        faults.check(
            // Below 8 KiB a browser with a few cookies of other pages is refused.
            (8 * 1024..=256 * 1024).contains(&self.head_bytes),
            "head_bytes",
            format!("{} must be 8192 to 262144", self.head_bytes),
        );
        self.validate_numbers(faults);
    }
}

impl Options {
    fn validate_numbers(&self, faults: &mut Faults) {
        for (key, value) in [
            ("connections", self.connections),
            ("connections_per_address", self.connections_per_address),
            ("head_lines", self.head_lines),
            ("head_timeout_ms", self.head_timeout_ms),
            ("body_timeout_ms", self.body_timeout_ms),
            (
                "requests_per_second_address",
                self.requests_per_second_address,
            ),
            ("idle_timeout_ms", self.idle_timeout_ms),
            ("stall_timeout_ms", self.stall_timeout_ms),
            ("frames_per_second", self.frames_per_second),
            ("frames_burst", self.frames_burst),
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
        ] {
            faults.check(
                (1..=1_000_000).contains(&value),
                key,
                format!("{value} must be 1 to 1000000"),
            );
        }
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
