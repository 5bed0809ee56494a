//! Looks at the cluster all the time, beside the faults: who leads, who votes, who is whole.
//!
//! It asks every replica at its own address, which no fault of the network disturbs: what is to
//! be known is what a node does, not whether it can be reached. Out: a [`View`], several times a
//! second, and the marks of the report.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use proto::v1::get_status_response::Phase;
use proto::v1::membership_client::MembershipClient;
use proto::v1::{GetServersRequest, GetStatusResponse};
use scenarios::cluster::status_at;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::clock::Began;
use crate::ground::{Name, Place};
use crate::limits::{CAUGHT_UP_SLOTS, STATUS_WAIT, WATCH};
use crate::record::Mark;

/// The cluster at one moment.
#[derive(Clone, Default, Debug)]
pub struct View {
    /// What each replica says of itself; those that say nothing are not in it.
    pub statuses: BTreeMap<Name, GetStatusResponse>,
    /// The node that each replica was when it last said something.
    pub ids: BTreeMap<Name, u64>,
    /// The epoch that is active in the newest view.
    pub epoch: u64,
    /// Its voters.
    pub voters: Vec<u64>,
    /// Whether its first entry is decided: voters that left it may be switched off.
    pub epoch_ready: bool,
    /// The leader that a majority of the voters follows, with a quorum.
    pub leader: Option<Name>,
    /// The ballot of the leader, for people.
    pub ballot: String,
    /// The highest commit index.
    pub decided: u64,
}

impl View {
    /// What the replicas say, together.
    fn of(statuses: BTreeMap<Name, GetStatusResponse>, mut ids: BTreeMap<Name, u64>) -> Self {
        for (name, status) in &statuses {
            if status.node != 0 {
                ids.insert(name.clone(), status.node);
            }
        }
        let newest = statuses.values().max_by_key(|status| status.epoch);
        let mut view = Self {
            epoch: newest.map_or(0, |status| status.epoch),
            voters: newest.map_or_else(Vec::new, |status| status.voters.clone()),
            decided: statuses.values().map(|s| s.decided).max().unwrap_or(0),
            ids,
            ..Self::default()
        };
        let current = |status: &&GetStatusResponse| status.epoch == view.epoch;
        view.epoch_ready = statuses.values().filter(current).any(|s| s.epoch_ready);
        let leads = |status: &GetStatusResponse| {
            let voters = statuses.values().filter(current).filter(|s| s.voter);
            let follow = voters.filter(|other| other.leader == status.node).count();
            status.role == "leader" && status.quorum_connected && follow * 2 > view.voters.len()
        };
        let leader = statuses.iter().find(|(_, s)| current(s) && leads(s));
        if let Some((name, status)) = leader {
            view.leader = Some(name.clone());
            let ballot = status.ballot.unwrap_or_default();
            view.ballot = format!("{}.{}@r{}", ballot.epoch, ballot.round, ballot.node);
        }
        view.statuses = statuses;
        view
    }

    /// Whether a replica is able to do its part: it takes part, and is not far behind.
    #[must_use]
    pub fn is_whole(&self, name: &str) -> bool {
        self.statuses.get(name).is_some_and(|status| {
            status.phase() == Phase::Member
                && (status.admitted || !status.voter)
                && status.damaged_slots == 0
                && !status.no_space
                && status.epoch == self.epoch
                && status.decided + CAUGHT_UP_SLOTS >= self.decided
        })
    }

    /// Whether a replica votes in the newest epoch.
    #[must_use]
    pub fn votes(&self, name: &str) -> bool {
        self.ids
            .get(name)
            .is_some_and(|id| self.voters.contains(id))
    }

    /// The name of the replica that is a node now.
    #[must_use]
    pub fn name_of(&self, node: u64) -> Option<&Name> {
        let mut ids = self.ids.iter();
        ids.find(|(_, id)| **id == node).map(|(name, _)| name)
    }

    /// As people call a replica: `r3`, or its name while it is no node.
    #[must_use]
    pub fn title(&self, name: &str) -> String {
        let id = self.ids.get(name);
        id.map_or_else(|| name.to_owned(), |id| format!("r{id}"))
    }
}

/// What the watcher shares.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The newest view.
    pub view: watch::Receiver<View>,
    /// What the cluster did.
    pub marks: Arc<Mutex<Vec<Mark>>>,
    /// Whom to look at; the nemesis adds and removes.
    pub places: watch::Sender<Vec<Place>>,
}

impl Watched {
    /// Adds a mark.
    pub fn mark(&self, mark: Mark) {
        // Every change is whole before the guard is dropped.
        let marks = self.marks.lock();
        marks.unwrap_or_else(PoisonError::into_inner).push(mark);
    }

    /// All marks, in order.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let marks = self.marks.lock();
        let mut marks = marks.unwrap_or_else(PoisonError::into_inner).clone();
        marks.sort_by_key(|mark| mark.at_ms);
        marks
    }
}

/// Watches until the task is aborted.
#[must_use]
pub fn watch_cluster(
    places: Vec<Place>,
    membership_url: String,
    began: Began,
) -> (Watched, tokio::task::JoinHandle<()>) {
    let (show, view) = watch::channel(View::default());
    let (places, places_seen) = watch::channel(places);
    let watched = Watched {
        view,
        marks: Arc::default(),
        places,
    };
    let mut marker = Marker {
        watched: watched.clone(),
        began,
        leader: String::new(),
        voters: Vec::new(),
        suspected: BTreeSet::new(),
    };
    let task = tokio::spawn(async move {
        let mut turn = interval(WATCH);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ids = BTreeMap::new();
        loop {
            turn.tick().await;
            let places = places_seen.borrow().clone();
            let statuses = ask(places).await;
            let view = View::of(statuses, std::mem::take(&mut ids));
            ids.clone_from(&view.ids);
            marker.look(&view);
            marker.look_at_membership(&membership_url).await;
            show.send_replace(view);
        }
    });
    (watched, task)
}

async fn ask(places: Vec<Place>) -> BTreeMap<Name, GetStatusResponse> {
    let mut asked = JoinSet::new();
    for place in places {
        asked.spawn(async move {
            let status = timeout(STATUS_WAIT, status_at(&place.address)).await;
            (place.name, status.ok().and_then(Result::ok))
        });
    }
    let answers = asked.join_all().await;
    let said = |(name, status): (Name, Option<_>)| status.map(|status| (name, status));
    answers.into_iter().filter_map(said).collect()
}

/// Makes marks of differences between views.
struct Marker {
    watched: Watched,
    began: Began,
    /// The ballot of the last leader.
    leader: String,
    voters: Vec<u64>,
    suspected: BTreeSet<u64>,
}

impl Marker {
    fn mark(&self, kind: &str, words: String) {
        self.watched.mark(Mark {
            at_ms: self.began.ms(),
            kind: kind.to_owned(),
            words,
        });
    }

    fn look(&mut self, view: &View) {
        if let Some(leader) = &view.leader
            && view.ballot != self.leader
        {
            let title = view.title(leader);
            self.mark(
                "election",
                format!("{title} leads with ballot {}", view.ballot),
            );
            self.leader.clone_from(&view.ballot);
        }
        if !view.voters.is_empty() && view.voters != self.voters {
            if !self.voters.is_empty() {
                let names = |voters: &[u64]| {
                    let names: Vec<String> = voters.iter().map(|id| format!("r{id}")).collect();
                    names.join(" ")
                };
                let (before, after) = (names(&self.voters), names(&view.voters));
                let words = format!("epoch {}: {before} became {after}", view.epoch);
                self.mark("replacement", words);
            }
            self.voters.clone_from(&view.voters);
        }
    }

    async fn look_at_membership(&mut self, url: &str) {
        let asked = timeout(STATUS_WAIT, servers(url)).await;
        let Ok(Ok(suspected)) = asked else {
            return;
        };
        for node in suspected.difference(&self.suspected) {
            self.mark("suspicion", format!("membership suspects r{node}"));
        }
        self.suspected = suspected;
    }
}

/// The nodes that membership suspects.
async fn servers(url: &str) -> Result<BTreeSet<u64>> {
    let mut client = MembershipClient::connect(url.to_owned()).await?;
    let answer = client.get_servers(GetServersRequest {}).await?.into_inner();
    let suspected = answer.servers.iter().filter(|server| server.suspected);
    Ok(suspected
        .map(|server| server.node)
        .filter(|node| *node != 0)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(node: u64, role: &str, leader: u64) -> GetStatusResponse {
        GetStatusResponse {
            node,
            role: role.to_owned(),
            leader,
            epoch: 1,
            voters: vec![1, 2, 3],
            voter: node <= 3,
            admitted: true,
            decided: 2000,
            quorum_connected: role == "leader",
            phase: Phase::Member as i32,
            ..GetStatusResponse::default()
        }
    }

    fn view(statuses: &[GetStatusResponse]) -> View {
        let named =
            |status: &GetStatusResponse| (format!("replica{}", status.node), status.clone());
        View::of(statuses.iter().map(named).collect(), BTreeMap::new())
    }

    /// One that calls itself leader leads only when a majority of the voters says so too.
    #[test]
    fn a_leader_has_followers() {
        let alone = view(&[status(1, "leader", 1), status(4, "learner", 1)]);
        assert_eq!(alone.leader, None);
        let followed = view(&[status(1, "leader", 1), status(2, "follower", 1)]);
        assert_eq!(followed.leader.as_deref(), Some("replica1"));
    }

    /// One that is far behind, of an old epoch, without space, damaged or silent is not whole.
    #[test]
    fn a_part_is_not_whole() {
        let mut behind = status(1, "follower", 3);
        behind.decided = 100;
        let mut damaged = status(2, "follower", 3);
        damaged.damaged_slots = 1;
        let mut old = status(3, "leader", 3);
        (old.epoch, old.voters) = (0, vec![]);
        let mut waits = status(5, "follower", 3);
        waits.phase = Phase::Quarantined as i32;
        let view = view(&[behind, damaged, old, waits, status(4, "learner", 3)]);
        for name in ["replica1", "replica2", "replica3", "replica5", "replica9"] {
            assert!(!view.is_whole(name), "{name}");
        }
        assert!(view.is_whole("replica4"));
        assert!(view.votes("replica1") && !view.votes("replica4"));
    }
}
