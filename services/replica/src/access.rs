//! Which role may call which method of a replica, when the services speak TLS.
//!
//! A replica that calls another one says besides which node it is; `directory` checks that, and
//! nothing here makes it less needed: all replicas of a cluster may share one certificate.

use tls::Role::{Gateway, Membership, Operator, Replica};
use tls::access::Table;

/// See the module.
pub(crate) const ACCESS: Table = &[
    // Votes and snapshots are among replicas.
    ("chatterbox.v1.Peer/", &[Replica]),
    // What people say and read comes by the gateways alone.
    ("chatterbox.v1.Chat/", &[Gateway]),
    // Who writes and who is there, from gateway to gateway.
    ("chatterbox.v1.Relay/", &[Gateway]),
    // How a replica is: who chooses one has to know.
    (
        "chatterbox.v1.Admin/GetStatus",
        &[Replica, Gateway, Membership, Operator],
    ),
    // Forming a cluster, and replacing its dead.
    ("chatterbox.v1.Admin/GetIdentity", &[Membership, Operator]),
    ("chatterbox.v1.Admin/InstallGenesis", &[Membership]),
    ("chatterbox.v1.Admin/ConfirmGenesis", &[Membership]),
    ("chatterbox.v1.Admin/Reconfigure", &[Membership, Operator]),
    ("chatterbox.v1.Admin/TransferLead", &[Membership, Operator]),
    ("chatterbox.v1.Admin/ListNodes", &[Membership, Operator]),
    // A new disk asks for its node.
    ("chatterbox.v1.Admin/Join", &[Replica]),
    // Everything that is in the log and the state.
    ("chatterbox.v1.Admin/ReadLog", &[Operator]),
    ("chatterbox.v1.Admin/Backup", &[Operator]),
    ("chatterbox.v1.Admin/HashState", &[Operator]),
    // Only where the setting `demo` is on.
    ("chatterbox.v1.Demo/", &[Gateway]),
    // In a build for tests only.
    ("chatterbox.v1.Failpoints/", &[Operator]),
];

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use tls::access::allowed;

    use super::*;

    /// Every method of a replica that the contract names, as `package.Service/Method`.
    fn methods() -> Vec<String> {
        let set = prost_types(proto::v1::FILE_DESCRIPTOR_SET);
        set.into_iter()
            .filter(|(service, _)| service != "Membership")
            .map(|(service, method)| format!("chatterbox.v1.{service}/{method}"))
            .collect()
    }

    /// Services and their methods, of the descriptors as far as this test needs them.
    fn prost_types(bytes: &[u8]) -> Vec<(String, String)> {
        #[derive(Clone, PartialEq, prost::Message)]
        struct Set {
            #[prost(message, repeated, tag = "1")]
            files: Vec<File>,
        }
        #[derive(Clone, PartialEq, prost::Message)]
        struct File {
            #[prost(message, repeated, tag = "6")]
            services: Vec<Service>,
        }
        #[derive(Clone, PartialEq, prost::Message)]
        struct Service {
            #[prost(string, tag = "1")]
            name: String,
            #[prost(message, repeated, tag = "2")]
            methods: Vec<Method>,
        }
        #[derive(Clone, PartialEq, prost::Message)]
        struct Method {
            #[prost(string, tag = "1")]
            name: String,
        }
        let set = Set::decode(bytes).expect("our own descriptors");
        let services = set.files.into_iter().flat_map(|file| file.services);
        services
            .flat_map(|service| {
                let name = service.name;
                let pair = move |method: Method| (name.clone(), method.name);
                service.methods.into_iter().map(pair)
            })
            .collect()
    }

    #[test]
    fn every_method_has_its_callers_and_no_line_is_left_over() {
        let methods = methods();
        assert!(methods.len() > 20, "{methods:?}");
        for method in &methods {
            assert!(
                !allowed(ACCESS, method).is_empty(),
                "nobody may call {method}"
            );
        }
        for (line, _) in ACCESS {
            let used = |method: &String| method == line || method.starts_with(line);
            assert!(methods.iter().any(used), "no method is {line}");
        }
    }

    #[test]
    fn a_gateway_reads_and_submits_and_does_nothing_else() {
        for method in methods() {
            let may = allowed(ACCESS, &method).contains(&Gateway);
            let talks = [".Chat/", ".Relay/", ".Demo/"]
                .iter()
                .any(|service| method.contains(service));
            let wanted = talks || method.ends_with("/GetStatus");
            assert_eq!(may, wanted, "{method}");
        }
    }
}
