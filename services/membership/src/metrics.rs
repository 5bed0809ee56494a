//! What the membership service measures. All names are here; docs/operations.md says what they are
//! good for.

use ops::metrics::{Gauge, Registry, gauge};
use proto::v1::server::Role;

use crate::service::Service;

/// The registry, and what brings it up to date.
pub fn registry(service: Service) -> (Registry, impl Fn() + Send + Sync + 'static) {
    let mut registry = Registry::with_prefix("chatterbox_membership");
    let gauges: [Gauge; 7] = Default::default();
    let names = [
        ("formed", "1: the cluster has its first configuration"),
        ("epoch", "The newest epoch heard of"),
        ("voters", "Replicas that vote"),
        ("voters_suspected", "Voters that are silent"),
        (
            "voters_wished",
            "How many voters the cluster is brought to; 0: as many as there are",
        ),
        (
            "standbys",
            "Replicas that are heard, keep up and do not vote",
        ),
        ("gateways", "Gateways heard of late"),
    ];
    for ((name, help), gauge) in names.into_iter().zip(&gauges) {
        registry.register(name, help, gauge.clone());
    }
    let refresh = move || {
        let servers = service.servers();
        let of = |role: Role| {
            let all = servers.servers.iter();
            all.filter(move |server| server.role() == role)
        };
        let voters = of(Role::Voter).count();
        let suspected = of(Role::Voter).filter(|server| server.suspected).count();
        let standbys = of(Role::Standby).filter(|server| !server.suspected).count();
        let values = [
            u64::from(servers.formed),
            servers.epoch,
            voters as u64,
            suspected as u64,
            u64::from(servers.wished),
            standbys as u64,
            servers.gateways.len() as u64,
        ];
        for (figure, value) in gauges.iter().zip(values) {
            figure.set(gauge(value));
        }
    };
    (registry, refresh)
}
