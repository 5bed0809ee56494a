//! Who speaks, and whether they may: certificates of the services and mutual TLS between them.
//! Knows nothing of chat, of Paxos, and of what the services say.
//!
//! Every service has a directory with `ca.crt`, `tls.crt` and `tls.key` (the layout of a Secret
//! of cert-manager). Its certificate names a cluster and a role, `spiffe://chatterbox/CLUSTER/ROLE`.
//! Both ends of every connection prove theirs; a server then looks up whether the role may call
//! the method. A new certificate in the directory is taken up within seconds, without a restart.
//!
//! Read: [`Role`], [`Identity`] (who), [`Mutual`] (the handle of a process), [`access`] (who may
//! call what), `trust` (rotation), `incoming` and `connector` (the two ends). [`Public`] is the other kind: the certificate that
//! a port shows to people, who have none.

pub mod access;
mod complaint;
mod connector;
mod identity;
mod incoming;
mod limits;
mod material;
mod mutual;
mod public;
mod server_verifier;
mod trust;

#[cfg(feature = "authority")]
pub mod authority;

pub use identity::{Identity, Role, Unfit};
pub use incoming::{Connection, Incoming, Peer};
pub use material::{CA_FILE, CERTIFICATE_FILE, Error, KEY_FILE};
pub use mutual::{Found, Mutual, inspect};
pub use public::Public;
