//! How a replica that lacks what others have compacted away gets a snapshot: the driver
//! fetches it in chunks, stops the core, puts it in the place of the state, has the log follow,
//! and starts a new core.
//!
//! What has arrived survives a crash of the receiver; when the sender dies, another snapshot
//! is begun. A process that dies in between finds the state ahead of the log and completes.

use std::rc::Rc;

use paxos::{NodeId, Slot};

use super::{Event, Packet, World};
use crate::network::Micros;
use crate::replica::Fetch;
use crate::report::Mark;
use crate::state::State;

/// A chunk that does not come for so long is asked for again, and another sender may be asked.
const RETRY_US: Micros = 200_000;

impl World {
    /// The core lacks what a peer no longer has as rows.
    pub(super) fn need_snapshot(&mut self, node: usize, from: NodeId, at_least: Slot) {
        let now = self.now;
        let fetch = &mut self.replicas[node].fetch;
        match fetch {
            Some(fetch) if fetch.from == from || now < fetch.heard + 2 * RETRY_US => return,
            Some(fetch) => (fetch.from, fetch.heard) = (from, now),
            None => {
                *fetch = Some(Fetch {
                    from,
                    slot: None,
                    chunks: 0,
                    asked: now,
                    heard: now,
                })
            }
        }
        self.counters.hit(Mark::SnapshotsAsked);
        self.note(node, || {
            format!("asks {from} for a snapshot at {at_least} or later")
        });
        self.ask_for_chunk(node);
    }

    fn ask_for_chunk(&mut self, node: usize) {
        let now = self.now;
        let Some(fetch) = &mut self.replicas[node].fetch else {
            return;
        };
        fetch.asked = now;
        let (to, slot, chunk) = (fetch.from, fetch.slot, fetch.chunks);
        self.carry(node, to, Packet::SnapshotAsk { slot, chunk });
    }

    pub(super) fn ask_for_snapshot_again(&mut self, node: usize) {
        let replica = &self.replicas[node];
        let fetch = replica.fetch.as_ref().filter(|_| replica.process.is_some());
        let Some(fetch) = fetch else { return };
        if self.now >= fetch.asked + RETRY_US {
            if fetch.chunks > 0 {
                self.counters.hit(Mark::SnapshotsResumed);
            }
            self.ask_for_chunk(node);
        }
    }

    /// Sends a chunk of the snapshot that was begun, or the first of a new one.
    pub(super) fn serve_snapshot(
        &mut self,
        node: usize,
        to: NodeId,
        slot: Option<Slot>,
        chunk: u32,
    ) {
        let replica = &mut self.replicas[node];
        let Some(process) = &mut replica.process else {
            return;
        };
        let begun = process
            .offer
            .as_ref()
            .filter(|offer| Some(offer.slot) == slot);
        let (snapshot, chunk) = match begun {
            Some(offer) => (Rc::clone(offer), chunk),
            None => (Rc::new(replica.state.clone()), 0),
        };
        process.offer = Some(Rc::clone(&snapshot));
        let of = self.knobs.chunks;
        self.carry(
            node,
            to,
            Packet::SnapshotChunk {
                chunk,
                of,
                snapshot,
            },
        );
    }

    pub(super) fn take_snapshot(
        &mut self,
        node: usize,
        from: NodeId,
        (chunk, of): (u32, u32),
        snapshot: &Rc<State>,
    ) {
        let replica = &mut self.replicas[node];
        let Some(fetch) = &mut replica.fetch else {
            return;
        };
        if fetch.from != from {
            return;
        }
        fetch.heard = self.now;
        if fetch.slot == Some(snapshot.slot) && chunk == fetch.chunks {
            fetch.chunks += 1;
        } else if chunk == 0 && fetch.slot != Some(snapshot.slot) {
            (fetch.slot, fetch.chunks) = (Some(snapshot.slot), 1);
        } else {
            return;
        }
        if fetch.chunks < of {
            self.ask_for_chunk(node);
            return;
        }
        replica.fetch = None;
        // What the log brought meanwhile may be more. An installation is a start of the core:
        // `crash` says why a disk that was turned back has none.
        if snapshot.slot > replica.state.slot && !replica.turned_back {
            self.begin_install(node, snapshot);
        }
    }

    /// A damaged row ends the prefix below the seal that began the active epoch: no core can
    /// start from that (R4). The driver gets a snapshot first, from whoever can be reached.
    pub(super) fn fetch_before_start(&mut self, node: usize) {
        let replica = &self.replicas[node];
        let (life, start) = (replica.life, replica.disk.image.configuration.start);
        let peer = self.anyone();
        let (here, there) = (self.replicas[node].host, self.replicas[peer].host);
        let cut = self.network.is_cut(here, there) || self.network.is_cut(there, here);
        let serves = self.replicas[peer].is_up(self.now) && !cut;
        if peer != node && serves && self.replicas[peer].state.slot >= start {
            self.counters.hit(Mark::SnapshotsAsked);
            let snapshot = Rc::new(self.replicas[peer].state.clone());
            self.begin_install(node, &snapshot);
        } else {
            self.schedule(self.now + RETRY_US, Event::Restart { node, life });
        }
    }

    /// Stops the core and puts the snapshot, durable, in the place of the state.
    fn begin_install(&mut self, node: usize, snapshot: &Rc<State>) {
        let slot = snapshot.slot;
        self.note(node, || format!("installs a snapshot at {slot}"));
        self.end(node);
        let replica = &mut self.replicas[node];
        // The log may have brought more until the moment of the swap, never less.
        let who = replica.who(node);
        replica.disk.image.announce(snapshot.slot);
        replica.state = (**snapshot).clone();
        replica.stored = Rc::clone(snapshot);
        replica.installing = true;
        let verdict = self.invariants.on_state(who, snapshot);
        self.invariants.judge(verdict);
        let life = replica.life;
        let at = self.now + self.random.between(500, 20_000);
        self.schedule(at, Event::Installed { node, life });
    }

    /// The log follows, and a new core starts.
    pub(super) fn on_installed(&mut self, node: usize) {
        let replica = &mut self.replicas[node];
        if !replica.installing {
            return;
        }
        replica.installing = false;
        replica.disk.image.install(&replica.state);
        self.counters.hit(Mark::SnapshotsInstalled);
        self.start(node);
    }
}
