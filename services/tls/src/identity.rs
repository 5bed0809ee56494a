//! Whom a certificate names: one role in one cluster, as a URI that SPIFFE tools understand.
//!
//! A name of a host would say where a service runs, which changes; what it may do does not.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

const SCHEME: &str = "spiffe://chatterbox/";
/// Of a cluster's name in a certificate.
const NAME_BYTES_MAX: usize = 64;

/// What a service is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Keeps the log and the state.
    Replica,
    /// Speaks with people.
    Gateway,
    /// Knows who is there.
    Membership,
    /// A person with `chatterctl`, or a test.
    Operator,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Replica,
        Self::Gateway,
        Self::Membership,
        Self::Operator,
    ];

    /// As it stands in certificates and in names of directories.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::Gateway => "gateway",
            Self::Membership => "membership",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = Unfit;

    fn from_str(text: &str) -> Result<Self, Unfit> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| Unfit::Name(text.to_owned()))
    }
}

/// Why a certificate names nobody of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not a certificate.
    #[error("the certificate cannot be read: {0}")]
    Unreadable(String),
    /// A certificate of something else.
    #[error("the certificate has no URI that begins with {SCHEME}")]
    Nameless,
    /// Two names are none.
    #[error("the certificate names more than one role")]
    Ambiguous,
    /// Such a role or cluster cannot be.
    #[error("`{0}` is no {SCHEME}CLUSTER/ROLE with a role replica, gateway, membership, operator")]
    Name(String),
}

/// Who a certificate says that its holder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name of the cluster.
    pub cluster: String,
    /// What it is there.
    pub role: Role,
}

impl Identity {
    /// That role in that cluster, whose name goes into a URI: letters, digits, `.`, `-`, `_`.
    pub fn new(cluster: &str, role: Role) -> Result<Self, Unfit> {
        let fits = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        let short = (1..=NAME_BYTES_MAX).contains(&cluster.len());
        if !short || !cluster.chars().all(fits) {
            return Err(Unfit::Name(cluster.to_owned()));
        }
        Ok(Self {
            cluster: cluster.to_owned(),
            role,
        })
    }

    /// As it stands in a certificate.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("{SCHEME}{}/{}", self.cluster, self.role)
    }

    /// From a certificate, which somebody else has verified.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, Unfit> {
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|error| Unfit::Unreadable(error.to_string()))?;
        let names = parsed
            .subject_alternative_name()
            .map_err(|error| Unfit::Unreadable(error.to_string()))?;
        let names = names.iter().flat_map(|names| &names.value.general_names);
        let mut ours = names.filter_map(|name| match name {
            GeneralName::URI(uri) => uri.strip_prefix(SCHEME),
            _ => None,
        });
        let name = ours.next().ok_or(Unfit::Nameless)?;
        if ours.next().is_some() {
            return Err(Unfit::Ambiguous);
        }
        let (cluster, role) = name
            .split_once('/')
            .ok_or_else(|| Unfit::Name(name.to_owned()))?;
        let role = role
            .parse()
            .map_err(|_: Unfit| Unfit::Name(name.to_owned()))?;
        Self::new(cluster, role)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} of {}", self.role, self.cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_break_a_uri_are_refused() {
        for name in ["", "a/b", "a b", "ä", "%2f", &"x".repeat(65)] {
            assert!(Identity::new(name, Role::Replica).is_err(), "{name}");
        }
        let identity = Identity::new("chat.prod-1_a", Role::Gateway).unwrap();
        assert_eq!(identity.uri(), "spiffe://chatterbox/chat.prod-1_a/gateway");
    }

    #[test]
    fn nonsense_is_nobody() {
        let found = Identity::of(&CertificateDer::from(vec![1, 2, 3]));
        assert!(matches!(found, Err(Unfit::Unreadable(_))), "{found:?}");
    }
}
