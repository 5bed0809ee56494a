//! Three cores that hear each other at once and whose disks take no time.

use std::collections::VecDeque;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use paxos::config::Configuration;
use paxos::entry::EntryKind;
use paxos::ids::{DiskSeq, Millis, NodeId, ProposalToken, Slot, Timestamp};
use paxos::input::Input;
use paxos::limits::TICK_MS;
use paxos::output::Output;
use paxos::{Core, Options, Restored};

use crate::{BATCH, BYTES};

/// Slots after which the cores may forget what is applied, as a replica does.
const COMPACT_EVERY: u64 = 64;
/// Ticks until a leader must be there.
const ELECTION_TICKS: u64 = 1_000;

struct Trio {
    cores: Vec<Core>,
    disk_seqs: Vec<u64>,
    inputs: VecDeque<(usize, Input)>,
    outputs: Vec<Output>,
    now: u64,
    token: u64,
    /// The slot of the last proposal that got one.
    proposed: Option<Slot>,
    applied: Vec<Slot>,
}

impl Trio {
    fn new() -> Self {
        let voters = [1, 2, 3].map(NodeId);
        let core = |node: &NodeId| {
            let options = Options {
                node: *node,
                configuration: Configuration::first(voters.into_iter().collect()),
                seed: 7,
            };
            Core::new(options, Restored::empty(), Millis(0))
        };
        Self {
            cores: voters.iter().map(core).collect(),
            disk_seqs: vec![0; voters.len()],
            inputs: VecDeque::new(),
            outputs: Vec::new(),
            now: 0,
            token: 0,
            proposed: None,
            applied: vec![Slot::GENESIS; voters.len()],
        }
    }

    /// Until nobody has anything to say.
    fn settle(&mut self) -> Result<()> {
        while let Some((at, input)) = self.inputs.pop_front() {
            let mut outputs = std::mem::take(&mut self.outputs);
            self.cores[at].step(Millis(self.now), input, &mut outputs);
            for output in outputs.drain(..) {
                self.execute(at, output)?;
            }
            self.outputs = outputs;
        }
        Ok(())
    }

    fn execute(&mut self, at: usize, output: Output) -> Result<()> {
        match output {
            Output::Persist { seq, .. } => {
                self.disk_seqs[at] += 1;
                let disk_seq = DiskSeq(self.disk_seqs[at]);
                self.inputs
                    .push_back((at, Input::Persisted { seq, disk_seq }));
            }
            Output::Send { to, message } => {
                let from = NodeId(at as u64 + 1);
                let to = usize::try_from(to.0 - 1)?;
                self.inputs
                    .push_back((to, Input::Message { from, message }));
            }
            Output::Apply { entries } => {
                let slot = entries.last().context("entries to apply")?.slot;
                self.applied[at] = slot;
                self.inputs.push_back((at, Input::Applied { slot }));
            }
            Output::Proposed { slot, .. } => self.proposed = Some(slot),
            Output::Halt { reason } => anyhow::bail!("a core halted: {reason:?}"),
            _ => {}
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<()> {
        self.now += TICK_MS;
        for at in 0..self.cores.len() {
            self.inputs.push_back((at, Input::Tick));
        }
        self.settle()
    }

    fn propose(&mut self, at: usize, payload: &Bytes) -> Result<()> {
        self.token += 1;
        let input = Input::Propose {
            token: ProposalToken(self.token),
            kind: EntryKind::Batch,
            payload: payload.clone(),
            wall_clock: Timestamp(self.token),
        };
        self.inputs.push_back((at, input));
        self.settle()
    }

    /// Ticks until somebody takes a proposal, and says who.
    fn elect(&mut self, payload: &Bytes) -> Result<usize> {
        for _ in 0..ELECTION_TICKS {
            self.tick()?;
            for at in 0..self.cores.len() {
                self.propose(at, payload)?;
                if self.proposed.is_some() {
                    return Ok(at);
                }
            }
        }
        anyhow::bail!("nobody leads after {ELECTION_TICKS} ticks")
    }
}

pub(crate) fn steps() -> Result<Box<dyn FnMut() -> Result<()>>> {
    let payload = Bytes::from(vec![b'x'; BYTES * usize::try_from(BATCH)?]);
    let mut trio = Trio::new();
    let leader = trio.elect(&payload)?;
    let mut last = trio.proposed;
    Ok(Box::new(move || {
        trio.propose(leader, &payload)?;
        ensure!(trio.proposed > last, "the proposal got no slot");
        last = trio.proposed;
        if trio.token.is_multiple_of(COMPACT_EVERY) {
            trio.tick()?;
            for at in 0..trio.cores.len() {
                let upto = trio.applied[at];
                trio.inputs.push_back((at, Input::Compact { upto }));
            }
            trio.settle()?;
        }
        Ok(())
    }))
}
