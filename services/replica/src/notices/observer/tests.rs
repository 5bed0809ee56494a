//! What a leader tells, and how much of it at most.

use std::collections::BTreeSet;

use paxos::ids::{Ballot, Epoch, Millis, NodeId, Round, Slot};
use paxos::status::{PeerStatus, RoleName, Status};
use proto::v1::notice::Kind;
use proto::v1::{LeaderElected, NodeHeard, NodeSilent};

use super::Observer;
use crate::limits::{HEARD_AFTER, NOTICES_BURST, NOTICES_REFILL, SILENT_AFTER};
use crate::notices::Told;

const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);

/// Node 1 of three as it stands, at a time, with what the room knows.
struct World {
    status: Status,
    now: Millis,
    told: Told,
    observer: Observer,
}

impl World {
    /// Node 2 leads and is heard.
    fn following() -> Self {
        let mut status = crate::status::tests::status();
        status.node = ME;
        status.configuration.voters = [1, 2, 3].map(NodeId).into();
        let peer = PeerStatus {
            heard: true,
            last_heard: Some(Millis(0)),
            decided: Slot::GENESIS,
            ballot: Ballot::ZERO,
            upto: None,
            commit_latency_ms: 0,
            no_space: false,
        };
        status.peers = [2, 3].map(|node| (NodeId(node), peer)).into();
        status.role = RoleName::Follower;
        status.leader = Some(OTHER);
        status.happy = true;
        status.accepts_proposals = false;
        Self {
            status,
            now: Millis(0),
            told: Vec::new(),
            observer: Observer::default(),
        }
    }

    /// Node 1 leads since now, which the room knows.
    fn leading(round: u64) -> Self {
        let mut world = Self::following();
        world.lead(round);
        let line = world.wait(0).expect("the election");
        world.tell(&line);
        world
    }

    fn lead(&mut self, round: u64) {
        self.status.role = RoleName::Leader;
        self.status.leader = Some(ME);
        self.status.accepts_proposals = true;
        self.status.promised = Ballot {
            epoch: Epoch::FIRST,
            round: Round(round),
            node: ME,
        };
    }

    fn follow(&mut self) {
        self.status.role = RoleName::Follower;
        self.status.leader = Some(OTHER);
        self.status.accepts_proposals = false;
    }

    /// A node falls silent, or speaks again.
    fn hear(&mut self, node: NodeId, heard: bool) {
        let now = self.now;
        let peer = self.status.peers.get_mut(&node).expect("a voter");
        peer.heard = heard;
        if heard {
            peer.last_heard = Some(now);
        }
    }

    /// Time passes, with a look every 50 ms; whoever is heard goes on speaking. The first line.
    fn wait(&mut self, ms: u64) -> Option<Kind> {
        let until = self.now.0 + ms;
        loop {
            let now = self.now;
            for peer in self.status.peers.values_mut().filter(|peer| peer.heard) {
                peer.last_heard = Some(now);
            }
            self.observer.note(now, &self.status);
            if let Some(kind) = self.observer.next(now, &self.status, &self.told) {
                return Some(kind);
            }
            if now.0 >= until {
                return None;
            }
            self.now = Millis(now.0 + 50);
        }
    }

    /// The line is in the room.
    fn tell(&mut self, kind: &Kind) {
        self.observer.told(kind);
        let slot = Slot(Slot::FIRST.0 + self.now.0);
        match kind {
            Kind::Elected(elected) if self.told.is_empty() => {
                let voters: BTreeSet<u64> = elected.voters.iter().copied().collect();
                self.told = voters
                    .into_iter()
                    .map(|node| (NodeId(node), None))
                    .collect();
            }
            Kind::Silent(silent) => self.set(silent.node, Some(slot)),
            Kind::Heard(heard) => self.set(heard.node, None),
            Kind::Elected(_) | Kind::Voters(_) => {}
        }
    }

    fn set(&mut self, node: u64, silent: Option<Slot>) {
        for entry in &mut self.told {
            if entry.0.0 == node {
                entry.1 = silent;
            }
        }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("short")
}

/// Property: an election is told once, with how long nobody led as the new leader saw it; a copy
/// of the same words is posted as long as nobody knows that it arrived.
#[test]
fn an_election_is_told_until_it_arrived() {
    let mut world = World::following();
    assert_eq!(world.wait(1_000), None, "who follows tells nothing");
    world.hear(OTHER, false);
    world.status.happy = false;
    assert_eq!(world.wait(400), None);
    world.lead(4);
    let expected = Kind::Elected(LeaderElected {
        epoch: 1,
        round: 4,
        node: 1,
        previous: 2,
        gap_ms: 400,
        voters: vec![1, 2, 3],
    });
    assert_eq!(world.wait(0), Some(expected.clone()));
    world.now = Millis(world.now.0 + 500);
    assert_eq!(world.wait(0), Some(expected.clone()), "no answer came");
    world.tell(&expected);
    assert_eq!(world.wait(1_000), None);
}

/// Property: a leader that takes no commands posts nothing, and its first line waits for that.
#[test]
fn nothing_is_posted_before_commands_are_taken() {
    let mut world = World::following();
    world.lead(1);
    world.status.accepts_proposals = false;
    assert_eq!(world.wait(1_000), None);
    world.status.accepts_proposals = true;
    assert!(matches!(world.wait(0), Some(Kind::Elected(_))));
}

/// Property: an epoch that goes on under its leader is no election; under another it is one.
#[test]
fn a_seal_by_itself_elects_nobody() {
    let mut world = World::leading(3);
    world.lead(0);
    world.status.promised.epoch = Epoch(2);
    assert_eq!(world.wait(1_000), None);
    let mut other = World::following();
    other.wait(0);
    other.told = vec![(ME, None)];
    other.lead(0);
    other.status.promised.epoch = Epoch(2);
    assert!(matches!(other.wait(0), Some(Kind::Elected(_))));
}

/// Property: a silence is told when it lasts, and so is its end; shorter ones are not.
#[test]
fn silence_and_voice_must_last() {
    let mut world = World::leading(1);
    world.hear(OTHER, false);
    assert_eq!(world.wait(millis(SILENT_AFTER) - 200), None);
    world.hear(OTHER, true);
    assert_eq!(world.wait(1_000), None, "a short pause is no news");
    let fell_silent = world.now.0;
    world.hear(OTHER, false);
    let for_ms = millis(SILENT_AFTER);
    let silent = Kind::Silent(NodeSilent { node: 2, for_ms });
    assert_eq!(world.wait(60_000), Some(silent.clone()));
    world.tell(&silent);
    let at = world.told[1].1.expect("silent");
    assert_eq!(world.wait(30_000), None, "once");
    world.hear(OTHER, true);
    assert_eq!(world.wait(millis(HEARD_AFTER) / 2), None);
    world.hear(OTHER, false);
    assert_eq!(world.wait(1_000), None, "a word is no voice");
    world.hear(OTHER, true);
    let spoke = world.now.0;
    let heard = Kind::Heard(NodeHeard {
        node: 2,
        silent_slot: at.0,
        after_ms: spoke - fell_silent,
    });
    assert_eq!(world.wait(60_000), Some(heard.clone()));
    world.tell(&heard);
    assert_eq!(world.wait(60_000), None);
}

/// Property: a new leader goes on where the one before it was: it tells no silence again, and tells
/// the end of one that another had told, its own included.
#[test]
fn a_new_leader_goes_on() {
    let mut world = World::following();
    let (mine, theirs) = (Slot(2_000), Slot(2_001));
    world.told = vec![(ME, Some(mine)), (OTHER, Some(theirs)), (NodeId(3), None)];
    world.hear(OTHER, false);
    world.now = Millis(60_000);
    world.lead(9);
    let line = world.wait(0).expect("the election");
    assert!(matches!(line, Kind::Elected(_)));
    world.tell(&line);
    let own = Kind::Heard(NodeHeard {
        node: 1,
        silent_slot: mine.0,
        after_ms: 0,
    });
    assert_eq!(world.wait(0), Some(own.clone()));
    world.tell(&own);
    assert_eq!(world.wait(10_000), None, "its silence is known");
    world.hear(OTHER, true);
    let heard = Kind::Heard(NodeHeard {
        node: 2,
        silent_slot: theirs.0,
        after_ms: 0,
    });
    assert_eq!(world.wait(10_000), Some(heard));
}

/// Property: however the cluster flaps, a replica posts a burst and then one line per refill.
#[test]
fn flapping_is_bounded() {
    let mut world = World::following();
    let (mut lines, minutes) = (0, 30);
    let mut round = 0;
    while world.now.0 < minutes * 60_000 {
        round += 1;
        world.lead(round);
        if let Some(line) = world.wait(200) {
            world.tell(&line);
            lines += 1;
        }
        world.follow();
        world.wait(200);
    }
    let most = u64::from(NOTICES_BURST) + minutes * 60_000 / millis(NOTICES_REFILL) + 1;
    assert!((most / 2..=most).contains(&lines), "{lines} of {most}");
    assert!(round > 10 * lines, "{round} elections");
    // What is true at the end is told, when there is room for it.
    world.lead(round + 1);
    let last = world.wait(2 * millis(NOTICES_REFILL));
    assert!(matches!(last, Some(Kind::Elected(elected)) if elected.round == round + 1));
}
