//! Asks membership, replicas and gateways, all at once.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::future::join_all;
use proto::v1;
use tls::Role;

use super::view::{Gateway, Membership, Replica, View};
use crate::ca;
use crate::cli::WhereArgs;
use crate::local::plan::{Kind, certificates};
use crate::local::state::{Lock, State};
use crate::remote::{self, bare};

/// Where the membership service of the containers is; a container of the cluster knows it.
const VARIABLES: [&str; 2] = [
    "CHATTERBOX_GATEWAY_MEMBERSHIP",
    "CHATTERBOX_REPLICA_MEMBERSHIP",
];
const DEFAULT: &str = "127.0.0.1:1051";

/// Whom to ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// host:port of membership.
    pub(crate) membership: Option<String>,
    /// host:port of the replicas that are known without membership.
    pub(crate) replicas: Vec<String>,
    /// Name and host:port of gateways that can be reached from here.
    pub(crate) gateways: Vec<(String, String)>,
    /// Names of replicas by address, for those that do not answer.
    names: BTreeMap<String, String>,
    /// The local cluster, when it was stopped.
    pub(crate) stopped: bool,
}

impl Places {
    /// As the flags of a command say; see [`places`].
    pub(crate) fn of(place: &WhereArgs) -> anyhow::Result<Self> {
        places(
            &place.data.data,
            place.membership.as_deref(),
            &place.replica,
        )
    }
}

/// By flags, else by the local cluster in `data`, else by the environment of a container,
/// else on the default port.
pub(crate) fn places(
    data: &Path,
    membership: Option<&str>,
    replicas: &[String],
) -> anyhow::Result<Places> {
    let replicas: Vec<String> = replicas.iter().map(|url| bare(url).to_owned()).collect();
    if membership.is_some() || !replicas.is_empty() {
        let membership = membership.map(|url| bare(url).to_owned());
        return Ok(Places {
            membership,
            replicas,
            ..Places::default()
        });
    }
    if let Some(state) = State::load(data)? {
        let certificate = ca::place(&certificates(data), Role::Operator);
        if !state.plan.plain && certificate.exists() {
            remote::certify(&certificate)?;
        }
        let of = |kind: Kind| {
            state
                .processes
                .iter()
                .filter(move |process| process.kind == kind)
        };
        return Ok(Places {
            membership: Some(state.membership.clone()),
            replicas: of(Kind::Replica)
                .map(|replica| replica.address.clone())
                .collect(),
            gateways: of(Kind::Gateway)
                .map(|gateway| (gateway.name.clone(), gateway.address.clone()))
                .collect(),
            names: of(Kind::Replica)
                .map(|replica| (replica.address.clone(), replica.name.clone()))
                .collect(),
            stopped: !Lock::is_held(data)?,
        });
    }
    let named = VARIABLES.iter().find_map(|name| std::env::var(name).ok());
    let membership = Some(named.as_deref().map_or(DEFAULT, bare).to_owned());
    Ok(Places {
        membership,
        ..Places::default()
    })
}

/// Asks everybody.
pub(crate) async fn gather(places: &Places) -> View {
    let asked = match &places.membership {
        Some(address) => Some(remote::servers(address).await),
        None => None,
    };
    let (known, error) = match asked {
        Some(Ok(known)) => (Some(known), None),
        Some(Err(error)) => (None, Some(format!("{error:#}"))),
        None => (None, None),
    };
    let servers = known.iter().flat_map(|known| &known.servers);
    let mut addresses: BTreeMap<String, Vec<v1::Server>> = BTreeMap::new();
    for server in servers {
        addresses
            .entry(server.address.clone())
            .or_default()
            .push(server.clone());
    }
    for address in &places.replicas {
        addresses.entry(address.clone()).or_default();
    }
    let mut replicas = ask(addresses).await;
    // Whoever answers knows the others: one --replica is enough to see all.
    let asked: Vec<&str> = replicas
        .iter()
        .map(|replica| replica.address.as_str())
        .collect();
    let peers = replicas.iter().flat_map(Replica::peers);
    let others = peers.filter(|peer| !asked.contains(&peer.as_str()));
    let others = others.map(|peer| (peer.clone(), Vec::new())).collect();
    replicas.extend(ask(others).await);
    for replica in &mut replicas {
        replica.name_if_unknown(places.names.get(&replica.address));
    }
    let gateways = gateways(places, known.as_ref()).await;
    let membership = Membership {
        address: places.membership.clone().unwrap_or_default(),
        reachable: known.is_some(),
        error,
        formed: known.as_ref().is_some_and(|known| known.formed),
        waiting_for: known
            .map(|known| known.waiting_for)
            .filter(|words| !words.is_empty()),
    };
    View::judge(membership, replicas, gateways).stopped(places.stopped)
}

/// Asks replicas by address, with what membership knows to be there.
async fn ask(addresses: BTreeMap<String, Vec<v1::Server>>) -> Vec<Replica> {
    let asked = addresses.into_iter().map(|(address, known)| async move {
        let status = remote::status(&address).await;
        at(address, &known, status)
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Who is at one address. A replica that lost its disk is another replica, at the same address:
/// both are shown, the one that answers and the one that does not come back.
fn at(
    address: String,
    known: &[v1::Server],
    status: anyhow::Result<v1::GetStatusResponse>,
) -> Vec<Replica> {
    let answers = status
        .as_ref()
        .map(|status| status.disk_id.clone())
        .unwrap_or_default();
    let (there, gone): (Vec<_>, Vec<_>) = known
        .iter()
        .partition(|server| status.is_err() || server.disk_id == answers);
    let lost = gone
        .into_iter()
        .filter(|server| server.node != 0)
        .map(|server| {
            let error = anyhow::anyhow!("another disk answers at its address");
            Replica::new(address.clone(), Some(server), Err(error))
        });
    let mut replicas: Vec<Replica> = lost.collect();
    // Of several that do not answer, the voter is missed.
    let there = there.into_iter().max_by_key(|server| server.node);
    replicas.push(Replica::new(address.clone(), there, status));
    replicas
}

/// The gateways that membership has heard, and those of the local cluster. Only the latter can
/// be asked: in containers their addresses are of another network.
async fn gateways(places: &Places, known: Option<&v1::GetServersResponse>) -> Vec<Gateway> {
    let mut found: BTreeMap<String, Gateway> = BTreeMap::new();
    for info in known.iter().flat_map(|known| &known.gateways) {
        let gateway = Gateway {
            name: info.name.clone(),
            address: info.address.clone(),
            connections: Some(info.connections),
            last_heard_ms: Some(info.last_heard_ms),
            ready: None,
        };
        found.insert(info.name.clone(), gateway);
    }
    for (name, address) in &places.gateways {
        let answer = reqwest::get(format!("http://{address}/health/ready")).await;
        let gateway = found.entry(name.clone()).or_insert_with(|| Gateway {
            name: name.clone(),
            ..Gateway::default()
        });
        gateway.address.clone_from(address);
        gateway.ready = Some(answer.is_ok_and(|answer| answer.status().is_success()));
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::status;
    use super::{at, places, v1};

    #[test]
    fn a_replica_that_lost_its_disk_is_shown_beside_the_new_one() {
        let server = |node: u64, disk: &str| v1::Server {
            node,
            disk_id: disk.to_owned(),
            ..Default::default()
        };
        let known = [server(2, "old"), server(0, "new")];
        let answer = v1::GetStatusResponse {
            disk_id: "new".to_owned(),
            ..status(0, "", 0)
        };
        let found = at("h:1".to_owned(), &known, Ok(answer));
        let shown: Vec<_> = found
            .iter()
            .map(|r| (r.name.as_str(), r.error.is_some()))
            .collect();
        assert_eq!(shown, [("r2", true), ("-", false)]);
        let found = at("h:1".to_owned(), &known, Err(anyhow::anyhow!("down")));
        let shown: Vec<_> = found
            .iter()
            .map(|r| (r.name.as_str(), r.error.is_some()))
            .collect();
        assert_eq!(shown, [("r2", true)]);
    }
    use crate::local::plan::Plan;
    use crate::local::state::State;

    #[test]
    fn flags_win_over_the_local_cluster() {
        let directory = tempfile::tempdir().expect("directory");
        let data = directory.path();
        let found = places(data, None, &[]).expect("places");
        assert!(found.membership.is_some() && found.replicas.is_empty());
        State::new(Plan::new(Some(2050), None, None, None, None))
            .save(data)
            .expect("save");
        let found = places(data, None, &[]).expect("places");
        assert_eq!(found.membership.as_deref(), Some("127.0.0.1:2051"));
        assert_eq!(found.replicas.len(), 3);
        let found = places(data, None, &["http://h:1".to_owned()]).expect("places");
        assert_eq!(
            (found.membership, found.replicas),
            (None, vec!["h:1".to_owned()])
        );
    }
}
