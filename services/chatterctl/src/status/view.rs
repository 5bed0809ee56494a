//! What `status` shows, and the judgement whether there is a quorum. Pure.

use proto::v1;
use serde::Serialize;

/// Everything. The field names are the JSON's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct View {
    pub(crate) cluster_id: String,
    pub(crate) cluster_name: String,
    pub(crate) shard: u32,
    /// A leader is there that reaches a majority.
    pub(crate) quorum: bool,
    /// The same for people.
    pub(crate) words: String,
    /// `r1`; absent when there is none.
    pub(crate) leader: Option<String>,
    pub(crate) epoch: u64,
    /// Who votes in it.
    pub(crate) voter_names: Vec<String>,
    /// How many voters the configuration has, and how many of them answer.
    pub(crate) voters: usize,
    pub(crate) up: usize,
    pub(crate) membership: Membership,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) gateways: Vec<Gateway>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Membership {
    pub(crate) address: String,
    pub(crate) reachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    pub(crate) formed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waiting_for: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Replica {
    /// 0: it has no identity yet, or nobody knows it.
    pub(crate) node: u64,
    /// `r1`.
    pub(crate) name: String,
    pub(crate) address: String,
    /// leader, follower, candidate; standby, which does not vote; unformed, starting, restoring,
    /// quarantined, stopping; unreachable.
    pub(crate) role: String,
    /// `1.7@r2`.
    pub(crate) ballot: Option<String>,
    pub(crate) decided: Option<u64>,
    pub(crate) applied: Option<u64>,
    /// How many slots its applied one is behind the highest decided one of all.
    pub(crate) lag: Option<u64>,
    pub(crate) log_bytes: Option<u64>,
    pub(crate) state_bytes: Option<u64>,
    pub(crate) uptime_ms: Option<u64>,
    pub(crate) commit_latency_us: Option<u64>,
    /// By membership.
    pub(crate) suspected: bool,
    /// Its disk is nearly full: it accepts nothing new.
    pub(crate) no_space: bool,
    /// Undecided rows that are damaged on its disk, until they are repaired.
    pub(crate) damaged_slots: u64,
    /// Why it takes part in nothing, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
    pub(crate) version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    #[serde(skip)]
    detail: Detail,
}

/// What the judgement needs of a replica's answer.
#[derive(Debug, Clone, Default, PartialEq)]
struct Detail {
    cluster_id: String,
    cluster_name: String,
    shard: u32,
    epoch: u64,
    voters: Vec<u64>,
    quorum_connected: bool,
    /// Where the others are.
    peers: Vec<String>,
    /// (epoch, round, node), which orders ballots.
    ballot: (u64, u64, u64),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Gateway {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) connections: Option<u32>,
    pub(crate) last_heard_ms: Option<u64>,
    /// Absent when it cannot be asked from here.
    pub(crate) ready: Option<bool>,
}

impl Replica {
    pub(crate) fn new(
        address: String,
        known: Option<&v1::Server>,
        asked: anyhow::Result<v1::GetStatusResponse>,
    ) -> Self {
        let suspected = known.is_some_and(|server| server.suspected);
        let node = known.map_or(0, |server| server.node);
        let status = match asked {
            Ok(status) => status,
            Err(error) => {
                let error = Some(format!("{error:#}"));
                let role = "unreachable".to_owned();
                let name = name(node);
                return Self {
                    node,
                    name,
                    address,
                    role,
                    suspected,
                    error,
                    ..Self::default()
                };
            }
        };
        let role = role(&status);
        let words = |words: String| Some(words).filter(|words| !words.is_empty());
        let member = status.phase() == v1::get_status_response::Phase::Member;
        let node = if status.node == 0 { node } else { status.node };
        Self {
            node,
            name: name(node),
            address,
            role,
            ballot: status.ballot.as_ref().map(ballot),
            decided: member.then_some(status.decided),
            applied: member.then_some(status.applied),
            lag: None,
            log_bytes: Some(status.log_bytes),
            state_bytes: Some(status.state_bytes),
            uptime_ms: Some(status.uptime_ms),
            commit_latency_us: Some(status.commit_latency_us),
            suspected,
            no_space: status.no_space,
            damaged_slots: status.damaged_slots,
            why: words(status.why),
            remedy: words(status.remedy),
            version: Some(status.version),
            error: None,
            detail: Detail {
                cluster_id: status.cluster_id,
                cluster_name: status.cluster_name,
                shard: status.shard,
                epoch: status.epoch,
                voters: status.voters,
                quorum_connected: status.quorum_connected,
                peers: {
                    let peers = status.peers.into_iter().map(|peer| peer.address);
                    let learners = status.learners.into_iter().map(|learner| learner.address);
                    peers
                        .chain(learners)
                        .filter(|address| !address.is_empty())
                        .collect()
                },
                ballot: status
                    .ballot
                    .map(|b| (b.epoch, b.round, b.node))
                    .unwrap_or_default(),
            },
        }
    }

    /// Where the others are, as far as it knows.
    pub(crate) fn peers(&self) -> &[String] {
        &self.detail.peers
    }

    /// Gives it a name when nobody has told its number.
    pub(crate) fn name_if_unknown(&mut self, name: Option<&String>) {
        if let Some(name) = name.filter(|_| self.node == 0 && !self.reachable()) {
            self.name.clone_from(name);
        }
    }

    fn reachable(&self) -> bool {
        self.error.is_none()
    }

    /// Whether it answers and does not stand aside.
    fn takes_part(&self) -> bool {
        self.reachable() && self.why.is_none()
    }
}

/// What a replica that answers does.
fn role(status: &v1::GetStatusResponse) -> String {
    use v1::get_status_response::Phase;
    let role = match status.phase() {
        Phase::Unformed => "unformed",
        Phase::Stopping => "stopping",
        Phase::Starting => "starting",
        Phase::Restoring => "restoring",
        Phase::Quarantined => "quarantined",
        // To an operator a node that only learns is a standby.
        Phase::Member | Phase::Unspecified if status.role == "learner" => "standby",
        Phase::Member | Phase::Unspecified => &status.role,
    };
    role.to_owned()
}

fn name(node: u64) -> String {
    if node == 0 {
        "-".to_owned()
    } else {
        format!("r{node}")
    }
}

/// The house form of a ballot.
pub(crate) fn ballot(ballot: &v1::Ballot) -> String {
    format!("{}.{}@r{}", ballot.epoch, ballot.round, ballot.node)
}

impl View {
    /// Says that nobody answers because the local cluster was stopped.
    pub(crate) fn stopped(mut self, stopped: bool) -> Self {
        if stopped && self.replicas.iter().all(|replica| !replica.reachable()) {
            self.words = "stopped: `chatterctl up` starts it".to_owned();
        }
        self
    }

    /// Judges by what the replicas say of themselves; membership only helps to find them.
    pub(crate) fn judge(
        membership: Membership,
        mut replicas: Vec<Replica>,
        gateways: Vec<Gateway>,
    ) -> Self {
        let highest = replicas.iter().filter_map(|replica| replica.decided).max();
        for replica in &mut replicas {
            let behind = |applied: u64| highest.unwrap_or_default().saturating_sub(applied);
            replica.lag = replica.applied.map(behind);
        }
        replicas.sort_by_key(|replica| (replica.node == 0, replica.node));
        let newest = replicas
            .iter()
            .filter(|replica| replica.reachable())
            .max_by_key(|replica| (replica.detail.epoch, replica.detail.ballot));
        let detail = newest
            .map(|replica| replica.detail.clone())
            .unwrap_or_default();
        // An old leader that was cut off may still believe; the highest ballot counts.
        let leader = replicas
            .iter()
            .filter(|r| r.role == "leader" && r.detail.quorum_connected)
            .max_by_key(|r| r.detail.ballot);
        let named = replicas
            .iter()
            .filter(|replica| detail.voters.contains(&replica.node));
        let up = named.filter(|replica| replica.takes_part()).count();
        let voter_names = detail.voters.iter().map(|node| name(*node)).collect();
        let voters = match detail.voters.len() {
            0 => replicas.len(),
            count => count,
        };
        let quorum = leader.is_some();
        Self {
            cluster_id: detail.cluster_id,
            cluster_name: detail.cluster_name,
            shard: detail.shard,
            quorum,
            words: words(quorum, up, voters, !detail.voters.is_empty(), &membership),
            leader: leader.map(|replica| replica.name.clone()),
            epoch: detail.epoch,
            voter_names,
            voters,
            up,
            membership,
            replicas,
            gateways,
        }
    }
}

fn words(quorum: bool, up: usize, voters: usize, formed: bool, membership: &Membership) -> String {
    if !formed {
        return match &membership.waiting_for {
            Some(words) => format!("not formed: waiting for {words}"),
            None if voters == 0 => "nobody answers".to_owned(),
            None => "no quorum: no replica of a formed cluster answers".to_owned(),
        };
    }
    let down = voters - up;
    if !quorum && up > voters / 2 {
        return format!("no leader: {up} of {voters} replicas answer, an election is due");
    }
    if !quorum {
        return format!("no quorum: {down} of {voters} replicas are down");
    }
    let may_fail = ((voters - 1) / 2).saturating_sub(down);
    let may = match may_fail {
        0 => "none may fail".to_owned(),
        1 => "one may fail".to_owned(),
        2 => "two may fail".to_owned(),
        more => format!("{more} may fail"),
    };
    format!("{up} of {voters} replicas · {may}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Gateway, Membership, Replica, View, v1};

    pub(in crate::status) fn status(node: u64, role: &str, applied: u64) -> v1::GetStatusResponse {
        v1::GetStatusResponse {
            cluster_id: "6b1f".to_owned(),
            cluster_name: "local".to_owned(),
            node,
            phase: v1::get_status_response::Phase::Member.into(),
            role: role.to_owned(),
            ballot: Some(v1::Ballot {
                epoch: 1,
                round: 7,
                node: 2,
            }),
            leader: 2,
            epoch: 1,
            voters: vec![1, 2, 3],
            decided: applied,
            applied,
            quorum_connected: true,
            uptime_ms: 61_000,
            log_bytes: 1536,
            version: "0.1.0".to_owned(),
            ..Default::default()
        }
    }

    /// Roles and applied slots of r1 to r3; `None` does not answer.
    pub(in crate::status) fn view(roles: [Option<(&str, u64)>; 3]) -> View {
        let replicas = (1..).zip(roles).map(|(node, role)| {
            let known = v1::Server {
                node,
                suspected: role.is_none(),
                ..Default::default()
            };
            let asked = role.map(|(role, applied)| status(node, role, applied));
            let asked = asked.ok_or_else(|| anyhow::anyhow!("does not answer"));
            Replica::new(format!("127.0.0.1:106{node}"), Some(&known), asked)
        });
        let membership = Membership {
            reachable: true,
            formed: true,
            ..Membership::default()
        };
        let gateway = Gateway {
            name: "gateway-1".to_owned(),
            address: "127.0.0.1:1050".to_owned(),
            connections: Some(2),
            last_heard_ms: Some(120),
            ready: Some(true),
        };
        View::judge(membership, replicas.collect(), vec![gateway])
    }

    #[test]
    fn says_how_many_may_fail() {
        let follower = Some(("follower", 10));
        let leader = Some(("leader", 12));
        for (roles, quorum, words) in [
            (
                [follower, leader, follower],
                true,
                "3 of 3 replicas · one may fail",
            ),
            (
                [None, leader, follower],
                true,
                "2 of 3 replicas · none may fail",
            ),
            (
                [None, None, follower],
                false,
                "no quorum: 2 of 3 replicas are down",
            ),
            (
                [follower, None, follower],
                false,
                "no leader: 2 of 3 replicas answer, an election is due",
            ),
            (
                [None, None, None],
                false,
                "no quorum: no replica of a formed cluster answers",
            ),
        ] {
            let view = view(roles);
            assert_eq!((view.quorum, view.words.as_str()), (quorum, words));
        }
    }

    #[test]
    fn a_replica_in_quarantine_is_not_up_and_says_why() {
        let mut odd = status(3, "", 0);
        odd.phase = v1::get_status_response::Phase::Quarantined.into();
        odd.why = "log.db is damaged".to_owned();
        odd.remedy = "start on an empty directory".to_owned();
        odd.voters = Vec::new();
        let replicas = [
            status(1, "follower", 5),
            status(2, "leader", 5),
            odd,
            v1::GetStatusResponse {
                voters: vec![1, 2, 3],
                ..status(1030, "learner", 4)
            },
        ];
        let replicas = replicas.into_iter().enumerate();
        let replicas = replicas.map(|(i, status)| Replica::new(format!("h:{i}"), None, Ok(status)));
        let view = View::judge(Membership::default(), replicas.collect(), Vec::new());
        assert_eq!(view.words, "2 of 3 replicas · none may fail");
        assert_eq!(view.voter_names, ["r1", "r2", "r3"]);
        let roles: Vec<_> = view.replicas.iter().map(|r| r.role.as_str()).collect();
        assert_eq!(roles, ["follower", "leader", "quarantined", "standby"]);
        assert_eq!(view.replicas[2].why.as_deref(), Some("log.db is damaged"));
        assert_eq!(view.replicas[2].lag, None, "it applies nothing");
        assert_eq!(view.replicas[3].lag, Some(1));
    }

    #[test]
    fn a_leader_without_a_quorum_is_none() {
        let mut alone = status(2, "leader", 5);
        alone.quorum_connected = false;
        let replica = Replica::new("h:1".to_owned(), None, Ok(alone));
        let view = View::judge(Membership::default(), vec![replica], Vec::new());
        assert!(!view.quorum && view.leader.is_none());
        assert_eq!(view.words, "no quorum: 2 of 3 replicas are down");
    }

    #[test]
    fn the_json_has_what_programs_read() {
        let json = serde_json::to_value(view([Some(("follower", 10)), Some(("leader", 12)), None]))
            .expect("json");
        assert_eq!(json["quorum"], true);
        assert_eq!(json["leader"], "r2");
        assert_eq!(json["replicas"][0]["name"], "r1");
        assert_eq!(json["replicas"][0]["lag"], 2);
        assert_eq!(json["replicas"][0]["ballot"], "1.7@r2");
        assert_eq!(json["replicas"][1]["role"], "leader");
        assert_eq!(json["replicas"][2]["role"], "unreachable");
        assert_eq!(json["replicas"][2]["suspected"], true);
        assert_eq!(json["replicas"][2]["applied"], serde_json::Value::Null);
        assert_eq!(json["gateways"][0]["connections"], 2);
    }

    #[test]
    fn an_unformed_cluster_says_what_it_waits_for() {
        let waiting_for = Some("1 more of 3 replicas to register".to_owned());
        let membership = Membership {
            reachable: true,
            waiting_for,
            ..Membership::default()
        };
        let view = View::judge(membership, Vec::new(), Vec::new());
        assert_eq!(
            view.words,
            "not formed: waiting for 1 more of 3 replicas to register"
        );
    }
}
