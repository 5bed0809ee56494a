//! What a run reached: counters which prove that the faults happened.

use paxos::{Event, Message, RejectReason};

use crate::network::Micros;

/// Sums over one run or many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) seeds: u64,
    pub(crate) steps: u64,
    pub(crate) simulated_us: Micros,
    pub(crate) decided: u64,
    pub(crate) acknowledged: u64,
    pub(crate) crashes: u64,
    pub(crate) power_losses: u64,
    pub(crate) partitions: u64,
    pub(crate) one_way_links: u64,
    pub(crate) pauses: u64,
    pub(crate) slow_disks: u64,
    pub(crate) campaigns: u64,
    pub(crate) elections: u64,
    pub(crate) step_downs: u64,
    pub(crate) suffixes_dropped: u64,
    pub(crate) catch_ups: u64,
    pub(crate) rows_served_from_disk: u64,
    pub(crate) nacks: u64,
    pub(crate) gaps: u64,
    pub(crate) promises_of_many_pages: u64,
    pub(crate) no_quorum: u64,
    pub(crate) window_full: u64,
    /// The longest that a client waited.
    pub(crate) wait_us_max: Micros,
    /// The longest time from healing to a leader that all follow, and to quiet.
    pub(crate) leader_us_max: Micros,
    pub(crate) quiet_us_max: Micros,
}

impl Counters {
    pub(crate) fn note_message(&mut self, message: &Message) {
        match message {
            Message::Nack(_) => self.nacks += 1,
            Message::Gap(_) => self.gaps += 1,
            Message::CatchUp(_) => self.catch_ups += 1,
            Message::Promise(promise) if promise.pages > 1 => self.promises_of_many_pages += 1,
            _ => {}
        }
    }

    pub(crate) fn note_event(&mut self, event: Event) {
        match event {
            Event::Campaigning(_) => self.campaigns += 1,
            Event::Leading(_) => self.elections += 1,
            Event::SteppedDown(_) => self.step_downs += 1,
            Event::SuffixDropped { .. } => self.suffixes_dropped += 1,
            _ => {}
        }
    }

    pub(crate) fn note_rejected(&mut self, reason: RejectReason) {
        match reason {
            RejectReason::NoQuorum => self.no_quorum += 1,
            RejectReason::WindowFull => self.window_full += 1,
            _ => {}
        }
    }

    pub(crate) fn note_wait(&mut self, wait: Micros) {
        self.wait_us_max = self.wait_us_max.max(wait);
    }

    /// Adds another run.
    pub(crate) fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.simulated_us += other.simulated_us;
        self.decided += other.decided;
        self.acknowledged += other.acknowledged;
        self.crashes += other.crashes;
        self.power_losses += other.power_losses;
        self.partitions += other.partitions;
        self.one_way_links += other.one_way_links;
        self.pauses += other.pauses;
        self.slow_disks += other.slow_disks;
        self.campaigns += other.campaigns;
        self.elections += other.elections;
        self.step_downs += other.step_downs;
        self.suffixes_dropped += other.suffixes_dropped;
        self.catch_ups += other.catch_ups;
        self.rows_served_from_disk += other.rows_served_from_disk;
        self.nacks += other.nacks;
        self.gaps += other.gaps;
        self.promises_of_many_pages += other.promises_of_many_pages;
        self.no_quorum += other.no_quorum;
        self.window_full += other.window_full;
        self.wait_us_max = self.wait_us_max.max(other.wait_us_max);
        self.leader_us_max = self.leader_us_max.max(other.leader_us_max);
        self.quiet_us_max = self.quiet_us_max.max(other.quiet_us_max);
    }
}
