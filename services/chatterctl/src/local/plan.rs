//! What a local cluster consists of: processes, ports, environment. Pure.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tls::Role;

use crate::ca;

/// The port of the original, for the first gateway.
pub(crate) const PORT: u16 = 1050;
const REPLICAS: u16 = 3;
/// The name of every local cluster.
pub(crate) const LOCAL_CLUSTER: &str = "local";

/// The wishes of the operator; kept in `cluster.json`, so that the next `up` needs none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Port of the first gateway.
    pub(crate) port: u16,
    /// Port of the first replica.
    pub(crate) base_port: u16,
    pub(crate) replicas: u16,
    pub(crate) gateways: u16,
    /// Whether the services speak plain text with each other.
    #[serde(default)]
    pub(crate) plain: bool,
}

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Membership,
    Replica,
    Gateway,
}

impl Kind {
    /// The name of its program.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Membership => "membership",
            Self::Replica => "replica",
            Self::Gateway => "gateway",
        }
    }
}

impl Kind {
    fn role(self) -> Role {
        match self {
            Self::Membership => Role::Membership,
            Self::Replica => Role::Replica,
            Self::Gateway => Role::Gateway,
        }
    }

    /// The setting that names the directory of its certificate.
    fn tls(self) -> &'static str {
        match self {
            Self::Membership => "CHATTERBOX_MEMBERSHIP_TLS",
            Self::Replica => "CHATTERBOX_REPLICA_TLS",
            Self::Gateway => "CHATTERBOX_GATEWAY_TLS",
        }
    }
}

/// Where the authority and the certificates of a local cluster are.
pub(crate) fn certificates(data: &Path) -> PathBuf {
    data.join("tls")
}

/// One process of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) port: u16,
}

impl Plan {
    /// Fills what was not wished from what was there before, else from the defaults.
    pub(crate) fn new(
        port: Option<u16>,
        base_port: Option<u16>,
        replicas: Option<u16>,
        gateways: Option<u16>,
        before: Option<&Self>,
    ) -> Self {
        let moved = port.is_some();
        let default = Self {
            port: PORT,
            base_port: PORT + 11,
            replicas: REPLICAS,
            gateways: 1,
            plain: false,
        };
        let before = before.unwrap_or(&default);
        let port = port.unwrap_or(before.port);
        let derived = if moved {
            port.saturating_add(11)
        } else {
            before.base_port
        };
        Self {
            port,
            base_port: base_port.unwrap_or(derived),
            replicas: replicas.unwrap_or(before.replicas),
            gateways: gateways.unwrap_or(before.gateways),
            plain: false,
        }
    }

    /// Whether the services speak plain text with each other; TLS unless it was wished now.
    pub(crate) fn plain(self, plain: bool) -> Self {
        Self { plain, ..self }
    }

    /// Where people go.
    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// host:port of membership.
    pub(crate) fn membership(&self) -> String {
        format!("127.0.0.1:{}", self.port.saturating_add(1))
    }

    /// Every process, in the order in which they are started.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let membership = Part {
            name: "membership".to_owned(),
            kind: Kind::Membership,
            port: self.port.saturating_add(1),
        };
        let replicas = (1..=self.replicas).map(|number| Part {
            name: format!("r{number}"),
            kind: Kind::Replica,
            port: self.base_port.saturating_add(number - 1),
        });
        // The second gateway leaves the port of membership free.
        let gateways = (1..=self.gateways).map(|number| Part {
            name: format!("gateway-{number}"),
            kind: Kind::Gateway,
            port: if number == 1 {
                self.port
            } else {
                self.port.saturating_add(number)
            },
        });
        std::iter::once(membership)
            .chain(replicas)
            .chain(gateways)
            .collect()
    }
}

/// How to start one process.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// Where its output goes.
    pub(crate) log: PathBuf,
}

impl Part {
    /// host:port on loopback.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How to start it. `data` is absolute: a process may change its directory.
    pub(crate) fn spec(&self, plan: &Plan, programs: &Path, data: &Path) -> Spec {
        let directory = data.join(&self.name).display().to_string();
        let membership = format!("http://{}", plan.membership());
        let env: Vec<(&str, String)> = match self.kind {
            Kind::Membership => vec![
                ("CHATTERBOX_MEMBERSHIP_LISTEN", self.address()),
                ("CHATTERBOX_MEMBERSHIP_DATA", directory),
                ("CHATTERBOX_MEMBERSHIP_CLUSTER", LOCAL_CLUSTER.to_owned()),
                ("CHATTERBOX_MEMBERSHIP_REPLICAS", plan.replicas.to_string()),
            ],
            Kind::Replica => vec![
                ("CHATTERBOX_REPLICA_LISTEN", self.address()),
                ("CHATTERBOX_REPLICA_ADVERTISE", self.address()),
                ("CHATTERBOX_REPLICA_DATA", directory),
                ("CHATTERBOX_REPLICA_MEMBERSHIP", membership),
            ],
            Kind::Gateway => vec![
                ("CHATTERBOX_GATEWAY_LISTEN", self.address()),
                ("CHATTERBOX_GATEWAY_MEMBERSHIP", membership),
                ("CHATTERBOX_GATEWAY_NAME", self.name.clone()),
            ],
        };
        let certificate = ca::place(&certificates(data), self.kind.role());
        let tls = (!plan.plain).then(|| (self.kind.tls(), certificate.display().to_string()));
        Spec {
            name: self.name.clone(),
            kind: self.kind,
            program: programs.join(self.kind.program()),
            args: Vec::new(),
            env: env
                .into_iter()
                .chain(tls)
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
            log: data.join("logs").join(format!("{}.log", self.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Plan;

    fn ports(plan: &Plan) -> Vec<(String, u16)> {
        plan.parts()
            .into_iter()
            .map(|part| (part.name, part.port))
            .collect()
    }

    #[test]
    fn the_ports_are_those_of_the_documents() {
        let plan = Plan::new(None, None, None, None, None);
        let expected = [
            ("membership", 1051),
            ("r1", 1061),
            ("r2", 1062),
            ("r3", 1063),
            ("gateway-1", 1050),
        ];
        let expected = expected.map(|(name, port)| (name.to_owned(), port));
        assert_eq!(ports(&plan), expected);
    }

    #[test]
    fn other_ports_derive_and_never_meet() {
        let plan = Plan::new(Some(2050), None, Some(7), Some(8), None);
        let mut all: Vec<u16> = ports(&plan).into_iter().map(|(_, port)| port).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "{all:?}");
        assert!(
            all.iter().all(|port| (2050..2070).contains(port)),
            "{all:?}"
        );
    }

    #[test]
    fn what_was_there_before_stays() {
        let before = Plan::new(Some(2050), Some(3000), Some(5), None, None);
        assert_eq!(Plan::new(None, None, None, None, Some(&before)), before);
        let moved = Plan::new(Some(4000), None, None, None, Some(&before));
        assert_eq!(
            (moved.port, moved.base_port, moved.replicas),
            (4000, 4011, 5)
        );
    }
}
