//! Who has been heard, where, and when. Pure; the clock is handed in.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::v1;

use crate::detector::{Detector, Uptime};
use crate::genesis::{DiskId, Genesis};
use crate::limits::{CAUGHT_UP_BEATS, CAUGHT_UP_SLOTS, GATEWAYS_MAX, SERVERS_MAX};

/// The first epoch; a later one comes with the log's configuration.
pub(crate) const EPOCH_FIRST: u64 = 1;

/// A replica's disk, and what was heard of it last.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// host:port.
    pub address: String,
    /// The replica's version, empty when it has only sent heartbeats.
    pub version: String,
    /// Absent: never by this process.
    pub last_heard: Option<Uptime>,
    /// The node id that it told; 0: none.
    pub node: u64,
    /// The process that it told: two with one disk are told apart.
    pub process: u64,
    /// Whether it said that it leads.
    pub leading: bool,
    /// Its commit index.
    pub decided: u64,
    /// Its applied slot.
    pub applied: u64,
    /// The epoch that is active there.
    pub epoch: u64,
    /// The voters of that epoch that it misses, and for how long.
    pub missed: Vec<(u64, Duration)>,
    /// Heartbeats in sequence with a lag under the window, as a standby.
    pub caught_up: u32,
    /// Whether the last look found it silent; so that a change is said once.
    suspected: bool,
}

#[derive(Debug, Clone)]
struct Gateway {
    address: String,
    connections: u32,
    last_heard: Uptime,
}

/// There is no room for another disk.
#[derive(Debug, thiserror::Error)]
#[error("{SERVERS_MAX} disks are known already, and each was heard a moment ago")]
pub struct Full;

/// Who votes now, as the newest epoch heard of says.
#[derive(Debug, Clone, Default)]
pub struct Voters {
    /// 0: nobody has told yet.
    pub epoch: u64,
    /// The ids.
    pub nodes: Vec<u64>,
    /// Whether somebody knows that the epoch's `Ready` is decided.
    pub ready: bool,
    /// When the latest change was heard of. Absent in the first epoch, before which there was
    /// none; how old a later one is that this process finds at its start nobody knows.
    pub changed: Option<Uptime>,
}

impl Voters {
    /// Takes over what a replica says, if it is of a later epoch.
    pub fn note(&mut self, epoch: u64, nodes: &[u64], ready: bool, now: Uptime) {
        if epoch > self.epoch && !nodes.is_empty() {
            *self = Self {
                epoch,
                nodes: nodes.to_vec(),
                ready: false,
                changed: (epoch > EPOCH_FIRST).then_some(now),
            };
        }
        self.ready |= ready && epoch == self.epoch;
    }

    /// Whether a node votes; before anybody has told, the first voters do.
    fn has(&self, node: u64, founder: bool) -> bool {
        if self.epoch == 0 {
            founder
        } else {
            self.nodes.contains(&node)
        }
    }
}

/// A change that is worth a line in the log.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it is.
    pub address: String,
    /// Its disk.
    pub disk: DiskId,
    /// Suspected, or heard again.
    pub suspected: bool,
}

/// Everybody known.
#[derive(Debug, Default)]
pub struct Registry {
    servers: BTreeMap<DiskId, Server>,
    gateways: BTreeMap<String, Gateway>,
}

impl Server {
    /// Counts a heartbeat of a standby: how far it is behind, and whether it went on without a
    /// break.
    pub fn count_caught_up(&mut self, standby: bool, head: u64, unbroken: bool) {
        let lag = head.saturating_sub(self.decided);
        let before = if unbroken { self.caught_up } else { 0 };
        self.caught_up = if standby && lag <= CAUGHT_UP_SLOTS {
            before.saturating_add(1).min(CAUGHT_UP_BEATS)
        } else {
            0
        };
    }
}

impl Registry {
    /// The entry of a disk, made when there is none. When there is no room, the disk that was
    /// silent for longest and is not a voter makes room.
    pub fn server(&mut self, disk: &str, genesis: Option<&Genesis>) -> Result<&mut Server, Full> {
        if !self.servers.contains_key(disk) && self.servers.len() >= SERVERS_MAX {
            let voter = |disk: &str| genesis.is_some_and(|g| g.voter(disk).is_some());
            let silent = self
                .servers
                .iter()
                .filter(|(disk, server)| !voter(disk) && server.suspected)
                .min_by_key(|(_, server)| server.last_heard)
                .map(|(disk, _)| disk.clone());
            self.servers.remove(&silent.ok_or(Full)?);
        }
        Ok(self.servers.entry(disk.to_owned()).or_default())
    }

    /// Makes sure that the voters of a genesis are there, also those never heard, but for those
    /// that were removed since.
    pub fn add_voters(&mut self, genesis: &Genesis, voters: &Voters) {
        for voter in genesis.voters.iter().filter(|v| voters.has(v.node, true)) {
            let server = self.servers.entry(voter.disk_id.clone()).or_default();
            if server.address.is_empty() {
                server.address.clone_from(&voter.address);
            }
        }
    }

    /// Forgets other disks at this address that do not vote: a machine with a new disk has lost
    /// the old one, or was removed with it.
    pub fn replace_at(
        &mut self,
        address: &str,
        disk: &str,
        genesis: Option<&Genesis>,
        voters: &Voters,
    ) {
        self.servers.retain(|known, server| {
            let founder = genesis.and_then(|genesis| genesis.voter(known));
            let node = founder.map_or(server.node, |founder| founder.node);
            known == disk || server.address != address || voters.has(node, founder.is_some())
        });
    }

    /// The disk of a node, and what is known of it.
    #[must_use]
    pub fn node(&self, node: u64, genesis: Option<&Genesis>) -> Option<&Server> {
        let founder = genesis.and_then(|g| g.voters.iter().find(|voter| voter.node == node));
        match founder {
            Some(founder) => self.servers.get(&founder.disk_id),
            None => self.servers.values().find(|server| server.node == node),
        }
    }

    /// Everybody who has registered or was heard.
    pub fn known(&self) -> impl Iterator<Item = &Server> {
        self.servers.values()
    }

    /// The highest commit index that anybody told.
    #[must_use]
    pub fn head(&self) -> u64 {
        let decided = self.servers.values().map(|server| server.decided);
        decided.max().unwrap_or(0)
    }

    /// The voters that say of this one that they miss it, and for how long: those of the same
    /// epoch that were heard a moment ago.
    #[must_use]
    pub fn missed_by(
        &self,
        node: u64,
        genesis: Option<&Genesis>,
        voters: &Voters,
        detector: Detector,
        now: Uptime,
    ) -> Vec<(u64, Duration)> {
        let mut by = Vec::new();
        for reporter in voters.nodes.iter().filter(|other| **other != node) {
            let Some(server) = self.node(*reporter, genesis) else {
                continue;
            };
            if server.epoch == voters.epoch && !detector.suspects(server.last_heard, now) {
                let about = server.missed.iter().find(|(missed, _)| *missed == node);
                by.extend(about.map(|(_, for_long)| (*reporter, *for_long)));
            }
        }
        by
    }

    /// Whether another live process has this disk: it was heard a moment ago. A process that
    /// starts again is let in as soon as its predecessor would be suspected.
    #[must_use]
    pub fn has_rival(&self, disk: &str, process: u64, detector: Detector, now: Uptime) -> bool {
        self.servers.get(disk).is_some_and(|known| {
            let other = known.process != 0 && process != 0 && known.process != process;
            other && known.last_heard.is_some() && !detector.suspects(known.last_heard, now)
        })
    }

    /// A gateway is alive. When there is no room, the one silent for longest makes room.
    pub fn gateway(&mut self, name: String, address: String, connections: u32, now: Uptime) {
        if !self.gateways.contains_key(&name) && self.gateways.len() >= GATEWAYS_MAX {
            let oldest = self
                .gateways
                .iter()
                .min_by_key(|(_, gateway)| gateway.last_heard);
            let oldest = oldest.map(|(name, _)| name.clone()).unwrap_or_default();
            self.gateways.remove(&oldest);
        }
        self.gateways.insert(
            name,
            Gateway {
                address,
                connections,
                last_heard: now,
            },
        );
    }

    /// Looks who is silent; gives what changed since the last look. A gateway that is silent
    /// for ten times as long has been scaled away and is forgotten.
    pub fn sweep(&mut self, detector: Detector, forget: Duration, now: Uptime) -> Vec<Change> {
        self.gateways
            .retain(|_, gateway| now.saturating_sub(gateway.last_heard) < forget);
        let mut changes = Vec::new();
        for (disk, server) in &mut self.servers {
            let suspected = detector.suspects(server.last_heard, now);
            if suspected != server.suspected {
                server.suspected = suspected;
                let address = server.address.clone();
                changes.push(Change {
                    address,
                    disk: disk.clone(),
                    suspected,
                });
            }
        }
        changes
    }

    /// Everybody, voters first in the order of their ids.
    #[must_use]
    pub fn servers(
        &self,
        genesis: Option<&Genesis>,
        voters: &Voters,
        detector: Detector,
        now: Uptime,
    ) -> Vec<v1::Server> {
        let head = self.head();
        let mut servers: Vec<v1::Server> = self
            .servers
            .iter()
            .map(|(disk, server)| {
                let founder = genesis.and_then(|genesis| genesis.voter(disk));
                let node = founder.map_or(server.node, |founder| founder.node);
                let role = match node {
                    0 => v1::server::Role::Registered,
                    node if voters.has(node, founder.is_some()) => v1::server::Role::Voter,
                    _ => v1::server::Role::Standby,
                };
                let heard = server
                    .last_heard
                    .map(|heard| millis(now.saturating_sub(heard)));
                let missed_by = self.missed_by(node, genesis, voters, detector, now);
                v1::Server {
                    node,
                    disk_id: disk.clone(),
                    address: server.address.clone(),
                    role: role.into(),
                    suspected: detector.suspects(server.last_heard, now),
                    last_heard_ms: heard,
                    leading: server.leading,
                    decided: server.decided,
                    applied: server.applied,
                    draining: false,
                    lag: head.saturating_sub(server.decided),
                    caught_up: server.caught_up,
                    missed_by: missed_by.into_iter().map(|(by, _)| by).collect(),
                }
            })
            .collect();
        servers.sort_by_key(|server| (server.node == 0, server.node));
        servers
    }

    /// Every gateway heard of late, by name.
    #[must_use]
    pub fn gateways(&self, now: Uptime) -> Vec<v1::GatewayInfo> {
        let info = |(name, gateway): (&String, &Gateway)| v1::GatewayInfo {
            name: name.clone(),
            address: gateway.address.clone(),
            connections: gateway.connections,
            last_heard_ms: millis(now.saturating_sub(gateway.last_heard)),
        };
        self.gateways.iter().map(info).collect()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Detector, Duration, Genesis, Registry, SERVERS_MAX, Voters, v1};

    const AFTER: Duration = Duration::from_millis(1500);

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn heard(registry: &mut Registry, disk: &str, ms: u64) {
        let server = registry.server(disk, None).expect("room");
        server.address = format!("{disk}:1");
        server.last_heard = Some(at(ms));
    }

    #[test]
    fn says_each_change_once() {
        let mut registry = Registry::default();
        let detector = Detector::new(AFTER);
        heard(&mut registry, "a", 0);
        assert!(registry.sweep(detector, AFTER * 10, at(1000)).is_empty());
        let changes = registry.sweep(detector, AFTER * 10, at(1600));
        assert!(changes.len() == 1 && changes[0].suspected, "{changes:?}");
        assert!(registry.sweep(detector, AFTER * 10, at(1700)).is_empty());
        heard(&mut registry, "a", 1800);
        let changes = registry.sweep(detector, AFTER * 10, at(1900));
        assert!(changes.len() == 1 && !changes[0].suspected, "{changes:?}");
    }

    #[test]
    fn voters_come_first_and_are_there_even_if_never_heard() {
        let mut registry = Registry::default();
        let disks = vec![
            ("b".to_owned(), "h:2".to_owned()),
            ("c".to_owned(), "h:1".to_owned()),
        ];
        let genesis = Genesis::new("id".to_owned(), "name".to_owned(), disks);
        heard(&mut registry, "a", 0);
        registry.add_voters(&genesis, &Voters::default());
        let servers = registry.servers(
            Some(&genesis),
            &Voters::default(),
            Detector::new(AFTER),
            at(10),
        );
        let order: Vec<_> = servers
            .iter()
            .map(|s| (s.node, s.disk_id.as_str()))
            .collect();
        assert_eq!(order, [(1, "c"), (2, "b"), (0, "a")]);
        assert_eq!(servers[0].last_heard_ms, None);
        assert_eq!(servers[2].last_heard_ms, Some(10));
    }

    #[test]
    fn who_votes_is_what_the_latest_epoch_says() {
        let mut registry = Registry::default();
        let disks = vec![("a".to_owned(), "h:1".to_owned())];
        let genesis = Genesis::new("id".to_owned(), "name".to_owned(), disks);
        registry.add_voters(&genesis, &Voters::default());
        heard(&mut registry, "b", 0);
        registry.server("b", None).expect("room").node = 1030;
        let mut voters = Voters::default();
        let roles = |voters: &Voters| -> Vec<_> {
            let servers = registry.servers(Some(&genesis), voters, Detector::new(AFTER), at(10));
            servers.iter().map(v1::Server::role).collect()
        };
        use v1::server::Role::{Standby, Voter};
        assert_eq!(roles(&voters), [Voter, Standby]);
        voters.note(2, &[1030], false, at(10));
        voters.note(1, &[1], true, at(20));
        assert_eq!(roles(&voters), [Standby, Voter]);
        assert!(!voters.ready && voters.changed == Some(at(10)));
        voters.note(2, &[1030], true, at(30));
        assert!(voters.ready && voters.changed == Some(at(10)));
        // Removed: its place is forgotten with its disk as soon as another disk is there.
        registry.replace_at("h:1", "c", Some(&genesis), &voters);
        registry.add_voters(&genesis, &voters);
        assert!(registry.node(1, Some(&genesis)).is_none());
    }

    /// A heartbeat with a large lag, or after a silence, begins the count anew; a voter has none.
    #[test]
    fn a_standby_has_caught_up_after_heartbeats_in_sequence() {
        let mut server = super::Server {
            decided: 5000,
            ..super::Server::default()
        };
        for (standby, head, unbroken, counted) in [
            (true, 5000, false, 1),
            (true, 6024, true, 2),
            (true, 5500, true, 3),
            (true, 5500, true, 3),
            (true, 6025, true, 0),
            (true, 5000, true, 1),
            (true, 5000, false, 1),
            (false, 5000, true, 0),
        ] {
            server.count_caught_up(standby, head, unbroken);
            assert_eq!(server.caught_up, counted, "{head}");
        }
    }

    /// Only the word of a voter of the same epoch counts, and only while it is heard itself.
    #[test]
    fn a_report_counts_while_it_is_fresh() {
        let mut registry = Registry::default();
        let detector = Detector::new(AFTER);
        let mut voters = Voters::default();
        voters.note(2, &[1, 2, 3], true, at(0));
        for (disk, node, epoch, ms) in [("a", 1, 2, 5000), ("b", 2, 2, 100), ("d", 4, 2, 5000)] {
            heard(&mut registry, disk, ms);
            let server = registry.server(disk, None).expect("room");
            (server.node, server.epoch) = (node, epoch);
            server.missed = vec![(3, at(700))];
        }
        let by = |registry: &Registry| registry.missed_by(3, None, &voters, detector, at(5100));
        assert_eq!(
            by(&registry),
            [(1, at(700))],
            "b is silent, d does not vote"
        );
        registry.server("a", None).expect("room").epoch = 1;
        assert_eq!(by(&registry), [], "a is of another epoch");
    }

    #[test]
    fn two_processes_with_one_disk_are_told_apart() {
        let mut registry = Registry::default();
        let detector = Detector::new(AFTER);
        heard(&mut registry, "a", 0);
        registry.server("a", None).expect("room").process = 7;
        assert!(!registry.has_rival("a", 7, detector, at(10)), "itself");
        assert!(
            registry.has_rival("a", 8, detector, at(10)),
            "a copy, or too soon"
        );
        assert!(
            !registry.has_rival("a", 8, detector, at(1500)),
            "a successor"
        );
    }

    #[test]
    fn is_bounded_and_gives_room_to_the_living() {
        let mut registry = Registry::default();
        for number in 0..SERVERS_MAX {
            heard(&mut registry, &format!("d{number}"), 0);
        }
        assert!(
            registry.server("new", None).is_err(),
            "all were heard a moment ago"
        );
        registry.sweep(Detector::new(AFTER), AFTER * 10, at(2000));
        assert!(registry.server("new", None).is_ok());
        for number in 0..1000 {
            registry.gateway(format!("g{number}"), String::new(), 0, at(number));
        }
        assert_eq!(registry.gateways(at(1000)).len(), super::GATEWAYS_MAX);
    }
}
