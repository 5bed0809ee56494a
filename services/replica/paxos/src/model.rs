//! What the exhaustive checker (`tests/model`) needs beside [`Core::step`]. Not in production
//! builds: it is compiled with the feature `model` only.
//!
//! Reads: the core. Emits: what a campaign emits.
//! Invariants: nothing here changes what the core does next, but for *when* it campaigns and for
//! what it remembers of the time that things took. Tests: tests/model

use alloc::vec::Vec;

use crate::core::{Core, Role};
use crate::entry::Entry;
use crate::ids::Slot;
use crate::output::Output;

impl Core {
    /// Campaigns at once if this node is able to: the checker lets no time pass, and any moment
    /// may be the one at which a node loses patience. Answers whether it did.
    #[doc(hidden)]
    pub fn model_campaign(&mut self, out: &mut Vec<Output>) -> bool {
        let able = matches!(self.role, Role::Follower) && self.may_promise();
        if self.halted || self.is_activating() || !able {
            return false;
        }
        let decided = self.log.decided();
        self.campaign();
        self.finish_step(decided);
        out.append(&mut self.out);
        true
    }

    /// Forgets what only timing depends on, so that states that differ in nothing else are one:
    /// latencies, the absolute numbers of requests, heartbeats, disks of which nothing was seen,
    /// and the same early message twice. `early` says whether early messages are kept at all:
    /// without them the network is slower. `fetching` says whether a request for decided rows
    /// is remembered: without it every request times out at once.
    #[doc(hidden)]
    pub fn model_forget_timing(&mut self, early: bool, fetching: bool) {
        let done = self.durable.forget_timing();
        self.log.renumber(done);
        self.forget_early(early);
        self.admission.forget_unseen();
        self.election.forget_heard();
        if !fetching {
            self.fetching = None;
        }
    }

    /// The row of a slot, if it is in memory.
    #[doc(hidden)]
    #[must_use]
    pub fn model_row(&self, slot: Slot) -> Option<&Entry> {
        self.log.get(slot)
    }

    /// The next slot that this acceptor takes at its promised ballot, once it knows its stream.
    #[doc(hidden)]
    #[must_use]
    pub fn model_next(&self) -> Option<Slot> {
        let upto = self.acceptor.stream.map(|stream| stream.upto);
        upto.map(|upto| upto.max(self.log.decided()).next())
    }

    /// Where the rows of the promised ballot begin, as far as this acceptor knows.
    #[doc(hidden)]
    #[must_use]
    pub fn model_base(&self) -> Option<Slot> {
        self.acceptor.stream.map(|stream| stream.base)
    }
}
