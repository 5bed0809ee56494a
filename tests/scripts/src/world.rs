//! A small cluster under the control of a script: cores, disks, the network and one clock.
//!
//! In: inputs for one core. Out: what the core asks for is done as the contract of
//! `paxos::Core::step` demands, and written down line by line. Invariants: nothing happens
//! unless the script says so. Tests: every script

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use paxos::message::{Message, Rows};
use paxos::{
    Core, Event, Input, Millis, NodeId, Options, Output, PersistOp, PersistSeq, ProposalToken,
    ReadToken, Slot,
};

use crate::command::{Level, Nodes};
use crate::disk::Disk;
use crate::node::{Node, Process};
use crate::oracle::Oracle;
use crate::show;
use crate::wire::{Letter, Route, Wire};

/// A cluster.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) now: Millis,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    pub(crate) genesis: BTreeSet<NodeId>,
    pub(crate) wire: Wire,
    pub(crate) oracle: Oracle,
    pub(crate) proposals: u64,
    pub(crate) reads: u64,
    /// The trace of the present command.
    lines: Vec<(Level, String)>,
}

impl World {
    pub(crate) fn node(&mut self, id: NodeId) -> Result<&mut Node> {
        self.nodes
            .get_mut(&id)
            .with_context(|| format!("there is no {id}"))
    }

    pub(crate) fn process(&mut self, id: NodeId) -> Result<&mut Process> {
        let process = self.node(id)?.process.as_mut();
        process.with_context(|| format!("{id} does not run"))
    }

    pub(crate) fn is_running(&self, id: NodeId) -> bool {
        self.nodes
            .get(&id)
            .is_some_and(|node| node.process.is_some())
    }

    pub(crate) fn running(&self) -> Vec<NodeId> {
        let running = self.nodes.keys().filter(|id| self.is_running(**id));
        running.copied().collect()
    }

    /// The nodes that a command is for: by default those that run.
    pub(crate) fn select(&self, nodes: &Nodes) -> Vec<NodeId> {
        match nodes {
            Nodes::All => self.running(),
            Nodes::These(these) => these.clone(),
        }
    }

    pub(crate) fn say(&mut self, level: Level, line: String) {
        self.lines.push((level, line));
    }

    /// How much was said so far.
    pub(crate) fn said(&self) -> usize {
        self.lines.len()
    }

    /// Writes a line before what was said since `mark`, if any of that is seen at `level`.
    pub(crate) fn head(&mut self, mark: usize, level: Level, line: String) {
        let mut since = self.lines.iter().skip(mark);
        if since.any(|(needed, _)| *needed <= level) {
            self.lines.insert(mark, (Level::Events, line));
        }
    }

    /// The trace since the last call, as far as it is seen at `level`.
    pub(crate) fn take_lines(&mut self, level: Level) -> Vec<String> {
        let lines = std::mem::take(&mut self.lines).into_iter();
        lines
            .filter(|(needed, _)| *needed <= level)
            .map(|(_, line)| line)
            .collect()
    }

    pub(crate) fn start(&mut self, id: NodeId) -> Result<()> {
        let (now, node) = (self.now, self.node(id)?);
        ensure!(node.process.is_none(), "{id} runs already");
        let restored = node.disk.boot();
        let configuration = node.disk.configuration.clone();
        let mut line = format!(
            "{id} starts: {} promised={} decided={} {}",
            configuration.epoch, restored.promised, restored.decided, restored.disk_seq
        );
        if !restored.undecided.is_empty() {
            let rows = show::entries(&restored.undecided, None);
            line.push_str(&format!(" undecided=[{rows}]"));
        }
        for slot in &restored.damaged {
            line.push_str(&format!(" damaged={slot}"));
        }
        let (decided, chain) = (restored.decided, restored.chain);
        let options = Options {
            node: id,
            configuration,
            seed: id.0,
        };
        node.process = Some(Process::new(Core::new(options, restored, now)));
        self.say(Level::Events, line);
        self.oracle.note_decided(id, decided, chain)
    }

    /// The process ends; what is not on the disk is gone.
    pub(crate) fn crash(&mut self, id: NodeId) -> Result<()> {
        let process = self.node(id)?.process.take();
        let process = process.with_context(|| format!("{id} does not run"))?;
        let lost: Vec<String> = process
            .writes
            .iter()
            .map(|(seq, _)| seq.to_string())
            .collect();
        let lost = if lost.is_empty() {
            String::new()
        } else {
            format!(", losing {}", lost.join(" "))
        };
        self.say(Level::Events, format!("{id} crashes{lost}"));
        Ok(())
    }

    /// Gives one input to a core and does what it asks for.
    pub(crate) fn step(&mut self, id: NodeId, input: Input) -> Result<()> {
        let now = self.now;
        let core = &mut self.process(id)?.core;
        let mut outputs = Vec::new();
        core.step(now, input, &mut outputs);
        let (decided, chain) = core.commit_index();
        self.oracle.note_decided(id, decided, chain)?;
        for output in outputs {
            self.execute(id, output)?;
        }
        Ok(())
    }

    fn execute(&mut self, id: NodeId, output: Output) -> Result<()> {
        match output {
            Output::Persist { seq, ops } => {
                let text = show::ops(&ops);
                let level = if is_hint(&ops) {
                    Level::All
                } else {
                    Level::Traffic
                };
                self.say(level, format!("{id} writes {seq}: {text}"));
                self.process(id)?.writes.push_back((seq, ops));
            }
            Output::Send { to, message } => self.send(id, to, message)?,
            Output::Apply { entries } => {
                let text = show::entries(&entries, None);
                self.say(Level::Traffic, format!("{id} hands out [{text}]"));
                let node = self.nodes.get(&id).context("a node that runs")?;
                self.oracle.note_handed(&node.disk, &entries)?;
                self.process(id)?.handed.extend(entries);
            }
            Output::ServeRows {
                to,
                from,
                upto,
                compacted_to,
            } => {
                self.say(
                    Level::Traffic,
                    format!("{id} reads {from}..{upto} for {to}"),
                );
                let entries = self.node(id)?.disk.read(from, upto);
                let core = &self.process(id)?.core;
                let message = Message::Rows(Rows {
                    epoch: core.configuration().epoch,
                    entries,
                    decided: core.commit_index().0,
                    compacted_to,
                });
                self.send(id, to, message)?;
            }
            other => self.report(id, other)?,
        }
        Ok(())
    }

    /// Outputs for people and clients.
    fn report(&mut self, id: NodeId, output: Output) -> Result<()> {
        let line = match output {
            Output::Proposed {
                token,
                slot,
                ballot,
                chain,
            } => {
                self.process(id)?.proposals.insert(token, (slot, chain));
                format!("{id} puts {token} into {slot} at {ballot}")
            }
            Output::Rejected { token, reason } => {
                format!("{id} refuses {token}: {}", show::refusal(reason))
            }
            Output::ReadReady { token, slot } => {
                self.process(id)?.reads.push((token, slot));
                self.say(
                    Level::Events,
                    format!("{id} confirms the read {token} at {slot}"),
                );
                return self.answer_reads(id);
            }
            Output::ReadRejected { token, reason } => {
                format!("{id} refuses the read {token}: {}", show::refusal(reason))
            }
            Output::NeedSnapshot { from, at_least } => {
                format!("{id} needs a snapshot at {at_least} or later, {from} has one")
            }
            Output::EpochBegan { configuration } => {
                format!("{id} is in {}", show::configuration(&configuration))
            }
            Output::Halt { reason } => {
                self.node(id)?.process = None;
                format!("{id} HALTS: {}", show::halt(&reason))
            }
            Output::Trace(event) => self.note_event(id, &event),
            Output::Persist { .. }
            | Output::Send { .. }
            | Output::Apply { .. }
            | Output::ServeRows { .. } => return Ok(()),
        };
        self.say(Level::Events, line);
        Ok(())
    }

    fn note_event(&self, id: NodeId, event: &Event) -> String {
        format!("{id} {}", show::event(event))
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: Message) -> Result<()> {
        if let Message::Ping(ping) = &message {
            self.process(from)?.note_round(ping.round);
        }
        let node = self.nodes.get(&from).context("a node that runs")?;
        self.oracle.note_sent(&node.disk, &message)?;
        let level = level(&message);
        let text = self.text(from, to, &message);
        let letter = Letter { from, to, message };
        if self.wire.is_cut(&letter) {
            self.say(level, format!("{from} -> {to} {text} (lost)"));
        } else {
            self.say(level, format!("{from} -> {to} {text}"));
            self.wire.letters.push_back(letter);
        }
        Ok(())
    }

    /// The text of a message between two nodes.
    pub(crate) fn text(&self, from: NodeId, to: NodeId, message: &Message) -> String {
        let (asker, round) = match message {
            Message::Ping(ping) => (from, ping.round),
            Message::Pong(pong) => (to, pong.round),
            _ => (from, 0),
        };
        let process = self
            .nodes
            .get(&asker)
            .and_then(|node| node.process.as_ref());
        let round = process.map_or_else(|| "old".to_owned(), |p| p.round(round));
        show::message(message, &round)
    }

    /// A message arrives.
    pub(crate) fn arrive(&mut self, letter: Letter) -> Result<()> {
        let Letter { from, to, message } = letter;
        let text = self.text(from, to, &message);
        let down = if self.is_running(to) {
            ""
        } else {
            " (it is down)"
        };
        self.say(level(&message), format!("{to} <- {from} {text}{down}"));
        if self.is_running(to) {
            self.step(to, Input::Message { from, message })?;
        }
        Ok(())
    }

    /// Delivers heartbeats, and the answers to them, until none is under way.
    pub(crate) fn exchange_heartbeats(&mut self) -> Result<()> {
        for kind in ["Ping", "Pong"] {
            let route = Route {
                kind: Some(kind),
                ..Route::default()
            };
            for letter in self.wire.take(&route) {
                self.arrive(letter)?;
            }
        }
        Ok(())
    }

    /// The writes of a node up to `upto` are done, in one transaction. Answers whether there
    /// were any.
    pub(crate) fn persist(&mut self, id: NodeId, upto: PersistSeq) -> Result<bool> {
        let node = self.node(id)?;
        let process = node.process.as_mut().context("it does not run")?;
        let count = process
            .writes
            .iter()
            .filter(|(seq, _)| *seq <= upto)
            .count();
        let done: Vec<_> = process.writes.drain(..count).collect();
        let (Some((first, _)), Some((last, _))) = (done.first(), done.last()) else {
            return Ok(false);
        };
        let (first, seq) = (*first, *last);
        let hints = done.iter().all(|(_, ops)| is_hint(ops));
        let level = if hints { Level::All } else { Level::Traffic };
        node.disk.commit(done.iter().flat_map(|(_, ops)| ops));
        let disk_seq = node.disk.disk_seq;
        let which = if first == seq {
            seq.to_string()
        } else {
            format!("{first}..{seq}")
        };
        self.say(level, format!("{id} has {which} on disk: {disk_seq}"));
        self.step(id, Input::Persisted { seq, disk_seq })?;
        Ok(true)
    }

    /// The writes of a node that nothing waits for are done, if no other comes before them.
    pub(crate) fn persist_hints(&mut self, id: NodeId) -> Result<()> {
        let writes = &self.process(id)?.writes;
        let hints = writes.iter().take_while(|(_, ops)| is_hint(ops));
        match hints.last().map(|(seq, _)| *seq) {
            Some(last) => self.persist(id, last).map(drop),
            None => Ok(()),
        }
    }

    /// The state machine of a node applies everything that was handed to it. Answers whether
    /// there was anything.
    pub(crate) fn apply(&mut self, id: NodeId) -> Result<bool> {
        let node = self.node(id)?;
        let process = node.process.as_mut().context("it does not run")?;
        let rows: Vec<_> = process.handed.drain(..).collect();
        let Some(slot) = rows.last().map(|row| row.slot) else {
            return Ok(false);
        };
        let mut answers = Vec::new();
        for row in &rows {
            node.disk.state.apply(row);
            answers.extend(process.answers(id, row));
        }
        self.say(Level::Traffic, format!("{id} has applied up to {slot}"));
        for answer in answers {
            self.say(Level::Events, answer);
        }
        self.answer_reads(id)?;
        self.step(id, Input::Applied { slot })?;
        Ok(true)
    }

    fn answer_reads(&mut self, id: NodeId) -> Result<()> {
        let applied = self.node(id)?.disk.state.applied;
        for line in self.process(id)?.readable(id, applied) {
            self.say(Level::Events, line);
        }
        Ok(())
    }

    /// Does the next thing that waits, without time: a message arrives, else a disk is done,
    /// else a state machine is. Answers whether anything waited.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        if let Some(letter) = self.wire.letters.pop_front() {
            self.arrive(letter)?;
            return Ok(true);
        }
        for id in self.running() {
            if !self.node(id)?.stuck && self.persist(id, PersistSeq(u64::MAX))? {
                return Ok(true);
            }
        }
        for id in self.running() {
            if self.apply(id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn next_proposal(&mut self) -> ProposalToken {
        self.proposals = self.proposals.saturating_add(1);
        ProposalToken(self.proposals)
    }

    pub(crate) fn next_read(&mut self) -> ReadToken {
        self.reads = self.reads.saturating_add(1);
        ReadToken(self.reads)
    }

    /// What a node's disk holds, in lines.
    pub(crate) fn describe_disk(&mut self, id: NodeId) -> Result<Vec<String>> {
        let Disk {
            promised,
            configuration,
            decided,
            rows,
            damaged,
            ..
        } = &self.node(id)?.disk;
        let epoch = show::configuration(configuration);
        let mut lines = vec![format!(
            "{id} disk: promised={promised} marked={decided} {epoch}"
        )];
        let rows: Vec<_> = rows.values().cloned().collect();
        lines.push(format!("{id} disk: rows [{}]", show::entries(&rows, None)));
        for slot in damaged {
            let slot: &Slot = slot;
            lines.push(format!("{id} disk: {slot} cannot be read"));
        }
        Ok(lines)
    }
}

/// Whether a write may be lost: it saves work at the next start, and nothing waits for it.
fn is_hint(ops: &[PersistOp]) -> bool {
    let hint = |op: &PersistOp| matches!(op, PersistOp::Decided { .. } | PersistOp::Witness { .. });
    ops.iter().all(hint)
}

const fn level(message: &Message) -> Level {
    if show::is_heartbeat(message) {
        Level::All
    } else {
        Level::Traffic
    }
}
