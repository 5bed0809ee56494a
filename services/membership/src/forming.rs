//! Forms the first configuration exactly once (DESIGN 2.10): the state machine, without I/O.
//!
//! In: [`Event`]s. Out: [`Action`]s, which may be done in any order, repeatedly, or not at all.
//! Must hold: a disk is told to confirm only when **every** named disk is known to hold the
//! genesis durably; nothing is installed after two different geneses were seen.
//! Tests: here, and tests/forming.rs with a kill after every action.
//!
//! Why there cannot be two clusters of one set of disks: a disk holds one genesis for ever, a
//! genesis is confirmed only when all its disks hold it, so of two geneses that share a disk at
//! most one is ever confirmed. That needs neither this process's memory nor its file; both only
//! save it from getting stuck.

mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::genesis::{DiskId, Genesis};

/// What happened.
#[derive(Debug, Clone)]
#[allow(
    missing_docs,
    reason = "the fields are what their names and the variants say"
)]
pub enum Event {
    /// A disk that no genesis holds asks to be part of a cluster.
    Registered { disk: DiskId, address: String },
    /// A node of an unknown cluster was heard at this address.
    Rumoured { address: String },
    /// The address answers with this disk, which holds nothing.
    Blank { disk: DiskId },
    /// A disk says which genesis it holds.
    Holds {
        disk: DiskId,
        genesis: Genesis,
        confirmed: bool,
    },
    /// The genesis is in the file; `held` with the mark that every disk holds it.
    Persisted { held: bool },
    /// The disk has confirmed the genesis.
    Confirmed { disk: DiskId },
    /// A node refused, for a reason that will not pass by itself.
    Refused { disk: DiskId, reason: String },
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the fields are what their names and the variants say"
)]
pub enum Action {
    /// Ask who is there. `disk` is absent for a rumour.
    Identify {
        disk: Option<DiskId>,
        address: String,
    },
    /// Write the genesis into the file.
    Persist { genesis: Genesis, held: bool },
    /// Make the disk hold the genesis, then ask it whether it does.
    Install {
        disk: DiskId,
        address: String,
        genesis: Genesis,
    },
    /// Tell the disk that all of them hold it.
    Confirm {
        disk: DiskId,
        address: String,
        cluster_id: String,
    },
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// Waits for enough blank disks.
    Collecting,
    /// The genesis is chosen, and must be in the file before anybody hears of it.
    Chosen { genesis: Genesis },
    /// These disks are known to hold it.
    Installing {
        genesis: Genesis,
        holding: BTreeSet<DiskId>,
    },
    /// Every disk holds it. `persisted`: the file says so. These have confirmed.
    Held {
        genesis: Genesis,
        persisted: bool,
        confirmed: BTreeSet<DiskId>,
    },
    /// Two geneses of one cluster name: a person must say which one is meant.
    Stopped { reason: String },
}

/// See the module.
#[derive(Debug)]
pub struct Forming {
    cluster_name: String,
    expected: usize,
    /// The id that the cluster gets if this process makes it.
    fresh_id: String,
    stage: Stage,
    /// Where each disk is, as far as it said so: named ones and blank ones.
    addresses: BTreeMap<DiskId, String>,
    /// Disks that answered for themselves that they hold nothing.
    blank: BTreeSet<DiskId>,
    /// Addresses at which somebody of an unknown cluster is.
    rumours: BTreeSet<String>,
    /// What stands in the way, by disk, for people.
    obstacles: BTreeMap<DiskId, String>,
}

impl Forming {
    /// Begins, with what the file says: a genesis, and whether every disk holds it.
    #[must_use]
    pub fn new(
        cluster_name: String,
        expected: usize,
        fresh_id: String,
        stored: Option<(Genesis, bool)>,
    ) -> Self {
        let stage = match stored {
            None => Stage::Collecting,
            Some((genesis, false)) => Stage::Installing {
                genesis,
                holding: BTreeSet::new(),
            },
            Some((genesis, true)) => Stage::Held {
                genesis,
                persisted: true,
                confirmed: BTreeSet::new(),
            },
        };
        Self {
            cluster_name,
            expected,
            fresh_id,
            stage,
            addresses: BTreeMap::new(),
            blank: BTreeSet::new(),
            rumours: BTreeSet::new(),
            obstacles: BTreeMap::new(),
        }
    }

    /// The genesis, once it is chosen or found.
    #[must_use]
    pub fn genesis(&self) -> Option<&Genesis> {
        match &self.stage {
            Stage::Chosen { genesis }
            | Stage::Installing { genesis, .. }
            | Stage::Held { genesis, .. } => Some(genesis),
            Stage::Collecting | Stage::Stopped { .. } => None,
        }
    }

    /// Whether every named disk holds the genesis: the cluster exists.
    #[must_use]
    pub fn is_formed(&self) -> bool {
        matches!(self.stage, Stage::Held { .. })
    }

    /// Why forming has stopped for good, if it has.
    #[must_use]
    pub fn stopped(&self) -> Option<&str> {
        match &self.stage {
            Stage::Stopped { reason } => Some(reason),
            _ => None,
        }
    }

    /// How many replicas the first configuration has or will have.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.genesis()
            .map_or(self.expected, |genesis| genesis.voters.len())
    }

    /// How many of them have registered.
    #[must_use]
    pub fn registered(&self) -> usize {
        match self.genesis() {
            Some(genesis) => {
                let known = |disk: &str| self.addresses.contains_key(disk);
                genesis
                    .voters
                    .iter()
                    .filter(|voter| known(&voter.disk_id))
                    .count()
            }
            None => self.addresses.len().min(self.expected),
        }
    }

    /// Takes note of an event.
    pub fn on(&mut self, event: Event) {
        match event {
            Event::Registered { disk, address } => self.registered_blank(disk, address),
            Event::Rumoured { address } => {
                if self.genesis().is_none() {
                    self.rumours.insert(address);
                }
            }
            Event::Blank { disk } => {
                self.obstacles.remove(&disk);
                self.blank.insert(disk);
            }
            Event::Holds {
                disk,
                genesis,
                confirmed,
            } => self.found(&disk, genesis, confirmed),
            Event::Persisted { held } => self.persisted(held),
            Event::Confirmed { disk } => {
                self.obstacles.remove(&disk);
                if let Stage::Held { confirmed, .. } = &mut self.stage {
                    confirmed.insert(disk);
                }
            }
            Event::Refused { disk, reason } => {
                self.obstacles.insert(disk, reason);
            }
        }
        self.advance();
    }

    /// A known disk has moved.
    pub fn moved(&mut self, disk: &str, address: &str) {
        self.addresses.insert(disk.to_owned(), address.to_owned());
    }

    fn registered_blank(&mut self, disk: DiskId, address: String) {
        if self.genesis().is_none() {
            // A new disk at an address: the one that was there before is gone, and must not
            // be waited for.
            let gone: Vec<DiskId> = self
                .addresses
                .iter()
                .filter(|(known, at)| **at == address && **known != disk)
                .map(|(known, _)| known.clone())
                .collect();
            for known in gone {
                self.addresses.remove(&known);
                self.blank.remove(&known);
                self.obstacles.remove(&known);
            }
            self.addresses.insert(disk, address);
        } else if self
            .genesis()
            .is_some_and(|genesis| genesis.voter(&disk).is_some())
        {
            self.addresses.insert(disk, address);
        } else if let Some(lost) = self.voter_at(&address)
            && !self.is_formed()
        {
            let reason = format!(
                "{address} has the new disk {disk}, but the genesis names {lost}: nobody has \
                 voted yet, so stop all replicas and membership, delete their data, start again"
            );
            self.obstacles.insert(lost, reason);
        }
    }

    fn voter_at(&self, address: &str) -> Option<DiskId> {
        let genesis = self.genesis()?;
        let at = |disk: &str| self.address(disk) == address;
        genesis
            .voters
            .iter()
            .find(|voter| at(&voter.disk_id))
            .map(|voter| voter.disk_id.clone())
    }

    /// A disk holds a genesis. Strangers (another cluster's name, a genesis that does not name
    /// the disk) have been turned away before.
    fn found(&mut self, disk: &str, found: Genesis, confirmed: bool) {
        self.obstacles.remove(disk);
        self.blank.remove(disk);
        match &mut self.stage {
            Stage::Stopped { .. } => return,
            // The cluster exists: a stranger changes nothing.
            Stage::Held { genesis, .. } if *genesis != found => return,
            Stage::Collecting => {
                self.stage = Stage::Chosen {
                    genesis: found.clone(),
                };
            }
            Stage::Chosen { genesis } | Stage::Installing { genesis, .. } if *genesis != found => {
                let reason = words::conflict(genesis, &found, disk);
                self.stage = Stage::Stopped { reason };
                return;
            }
            Stage::Installing { holding, .. } => {
                holding.insert(disk.to_owned());
            }
            Stage::Chosen { .. } | Stage::Held { .. } => {}
        }
        self.rumours.clear();
        // One confirmation proves that all of them held it.
        if confirmed && !self.is_formed() {
            let confirmed = BTreeSet::new();
            self.stage = Stage::Held {
                genesis: found,
                persisted: false,
                confirmed,
            };
        }
        if let Stage::Held {
            confirmed: known, ..
        } = &mut self.stage
            && confirmed
        {
            known.insert(disk.to_owned());
        }
    }

    fn persisted(&mut self, held: bool) {
        match &mut self.stage {
            Stage::Chosen { genesis } if !held => {
                let genesis = genesis.clone();
                self.stage = Stage::Installing {
                    genesis,
                    holding: BTreeSet::new(),
                };
            }
            Stage::Held { persisted, .. } if held => *persisted = true,
            _ => {}
        }
    }

    /// Moves on when the stage has what it waited for.
    fn advance(&mut self) {
        if let Stage::Installing { genesis, holding } = &self.stage
            && genesis
                .voters
                .iter()
                .all(|voter| holding.contains(&voter.disk_id))
        {
            let genesis = genesis.clone();
            self.stage = Stage::Held {
                genesis,
                persisted: false,
                confirmed: BTreeSet::new(),
            };
        }
    }

    /// What to do now. With enough disks that said of themselves that they hold nothing, this
    /// chooses the genesis; so it must be asked after a whole round of answers, never between.
    pub fn decide(&mut self) -> Vec<Action> {
        if self.stage == Stage::Collecting {
            self.choose();
        }
        match &self.stage {
            Stage::Collecting => self.identify(),
            Stage::Chosen { genesis } => {
                vec![Action::Persist {
                    genesis: genesis.clone(),
                    held: false,
                }]
            }
            Stage::Installing { genesis, holding } => {
                let missing = genesis
                    .voters
                    .iter()
                    .filter(|v| !holding.contains(&v.disk_id));
                let install = missing.map(|voter| Action::Install {
                    disk: voter.disk_id.clone(),
                    address: self.address(&voter.disk_id),
                    genesis: genesis.clone(),
                });
                install.collect()
            }
            Stage::Held {
                genesis,
                persisted: false,
                ..
            } => {
                vec![Action::Persist {
                    genesis: genesis.clone(),
                    held: true,
                }]
            }
            Stage::Held {
                genesis, confirmed, ..
            } => {
                let missing = genesis
                    .voters
                    .iter()
                    .filter(|v| !confirmed.contains(&v.disk_id));
                let confirm = missing.map(|voter| Action::Confirm {
                    disk: voter.disk_id.clone(),
                    address: self.address(&voter.disk_id),
                    cluster_id: genesis.cluster_id.clone(),
                });
                confirm.collect()
            }
            Stage::Stopped { .. } => Vec::new(),
        }
    }

    fn choose(&mut self) {
        let known = self
            .addresses
            .iter()
            .filter(|(disk, _)| self.blank.contains(*disk));
        let mut disks: Vec<_> = known.map(|(d, a)| (d.clone(), a.clone())).collect();
        // A rumour that nobody has looked into may be the genesis of these very disks.
        if disks.len() < self.expected || !self.rumours.is_empty() {
            return;
        }
        disks.sort_by(|a, b| crate::genesis::by_number(&a.1, &b.1));
        disks.truncate(self.expected);
        let genesis = Genesis::new(self.fresh_id.clone(), self.cluster_name.clone(), disks);
        self.stage = Stage::Chosen { genesis };
    }

    /// Nodes are asked only when there are enough of them, so that the answers are fresh.
    fn identify(&self) -> Vec<Action> {
        let rumours = self.rumours.iter().map(|address| Action::Identify {
            disk: None,
            address: address.clone(),
        });
        let mut actions: Vec<Action> = rumours.collect();
        if self.addresses.len() >= self.expected {
            let unknown = self
                .addresses
                .iter()
                .filter(|(disk, _)| !self.blank.contains(*disk));
            actions.extend(unknown.map(|(disk, address)| Action::Identify {
                disk: Some(disk.clone()),
                address: address.clone(),
            }));
        }
        actions
    }

    /// A rumour was looked into, whatever came out.
    pub fn looked_into(&mut self, address: &str) {
        self.rumours.remove(address);
    }

    /// Where a disk is: as it said last, else as the genesis says.
    fn address(&self, disk: &str) -> String {
        let named = || self.genesis()?.voter(disk).map(|voter| &voter.address);
        self.addresses
            .get(disk)
            .or_else(named)
            .cloned()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
