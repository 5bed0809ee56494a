//! One core between a test and nothing: for the tests beside the code.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use bytes::Bytes;

use crate::limits::HEARTBEAT_MS;
use crate::message::{Accept, Accepted, HelloReply, Pong, Promise, Rows};
use crate::{
    Ballot, Chain, Configuration, Core, DiskSeq, Entry, EntryKind, Epoch, Event, Input, Message,
    Millis, NodeId, Options, Output, PersistOp, PersistSeq, ProposalToken, RejectReason, Restored,
    Round, Seal, Slot, Timestamp,
};

/// One node, usually 1, and the disk that the test answers for.
pub(crate) struct Bench {
    pub(crate) core: Core,
    pub(crate) now: Millis,
    last: PersistSeq,
    /// The disk's transaction count, which `persisted` reports.
    pub(crate) disk_seq: DiskSeq,
}

pub(crate) fn ballot(round: u64, node: u64) -> Ballot {
    Ballot {
        epoch: Epoch::FIRST,
        round: Round(round),
        node: NodeId(node),
    }
}

/// The slot with this number, counted from 1.
pub(crate) fn slot(number: u64) -> Slot {
    Slot(Slot::GENESIS.0 + number)
}

/// `count` entries that follow each other from the first slot on, told apart by `name`.
pub(crate) fn entries(ballot: Ballot, count: u64, name: u8) -> Vec<Entry> {
    let mut chain = Chain::GENESIS;
    let make = |number| {
        let payload = Bytes::copy_from_slice(&[name]);
        let (at, time) = (slot(number), Timestamp(number));
        let entry = Entry::new(chain, at, ballot, EntryKind::Batch, time, payload);
        chain = entry.chain;
        entry
    };
    (1..=count).map(make).collect()
}

/// An `Accept` of a ballot that begins at the first slot.
pub(crate) fn accept(ballot: Ballot, entries: &[Entry], decided: u64) -> Message {
    let first = entries.first().map_or_else(|| slot(1), |entry| entry.slot);
    let entries = entries.to_vec();
    Message::Accept(Accept {
        ballot,
        base: slot(1),
        first,
        entries,
        decided: slot(decided),
    })
}

pub(crate) fn pong(round: u64, ballot: Ballot) -> Pong {
    Pong {
        epoch: Epoch::FIRST,
        round,
        ballot,
        following: None,
        leading: None,
        candidate: None,
        happy: false,
        quorum_connected: true,
        decided: Slot::GENESIS,
        chain: Chain::GENESIS,
        commit_latency_ms: 1,
        no_space: false,
    }
}

/// A ballot of an epoch.
pub(crate) fn ballot_of(epoch: u64, round: u64, node: u64) -> Ballot {
    Ballot {
        epoch: Epoch(epoch),
        round: Round(round),
        node: NodeId(node),
    }
}

pub(crate) fn nodes(numbers: &[u64]) -> BTreeSet<NodeId> {
    numbers.iter().copied().map(NodeId).collect()
}

/// The entry after `before`, which is the last one of the log so far, if there is one.
pub(crate) fn after(before: &[Entry], ballot: Ballot, kind: EntryKind, payload: Bytes) -> Entry {
    let last = before.last();
    let chain = last.map_or(Chain::GENESIS, |entry| entry.chain);
    let slot = last.map_or(Slot::FIRST, |entry| entry.slot.next());
    let time = last.map_or(1, |entry| entry.timestamp.0 + 1);
    Entry::new(chain, slot, ballot, kind, Timestamp(time), payload)
}

/// The `Seal` after `before` that begins `epoch`.
pub(crate) fn seal(
    before: &[Entry],
    ballot: Ballot,
    epoch: u64,
    starter: u64,
    to: &[u64],
) -> Entry {
    let seal = Seal {
        epoch: Epoch(epoch),
        starter: NodeId(starter),
        voters: nodes(to),
    };
    after(before, ballot, EntryKind::Seal, seal.encode())
}

/// A promise of one page, of a node that has decided nothing.
pub(crate) fn promise(ballot: Ballot, entries: Vec<Entry>) -> Message {
    Message::Promise(Promise {
        ballot,
        decided: Slot::GENESIS,
        compacted_to: Slot::GENESIS,
        page: 0,
        pages: 1,
        entries,
        disk_seq: DiskSeq(0),
    })
}

pub(crate) fn accepted(ballot: Ballot, upto: u64) -> Message {
    Message::Accepted(Accepted {
        ballot,
        upto: slot(upto),
        disk_seq: DiskSeq(0),
    })
}

/// Decided rows, from a node of `epoch` that has these last.
pub(crate) fn rows(epoch: u64, entries: &[Entry]) -> Message {
    let decided = entries.last().map_or(Slot::GENESIS, |entry| entry.slot);
    Message::Rows(Rows {
        epoch: Epoch(epoch),
        entries: entries.to_vec(),
        decided,
        compacted_to: Slot::GENESIS,
    })
}

/// The answer to a proposal that was refused.
pub(crate) fn rejected(outputs: &[Output]) -> Option<RejectReason> {
    outputs.iter().find_map(|output| match output {
        Output::Rejected { reason, .. } => Some(*reason),
        _ => None,
    })
}

/// The answer of a peer that has promised the leader of [`Bench::leader`].
pub(crate) fn led(_: u64, pong: Pong) -> Pong {
    Pong {
        ballot: ballot(1, 1),
        ..pong
    }
}

/// The `Accept`s to a peer, in order.
pub(crate) fn accepts_to(peer: u64, outputs: &[Output]) -> Vec<Accept> {
    let accept = |(to, message)| match message {
        Message::Accept(accept) if to == peer => Some(accept),
        _ => None,
    };
    sent(outputs).into_iter().filter_map(accept).collect()
}

/// The slots whose rows are sent to a peer, in order.
pub(crate) fn rows_to(peer: u64, outputs: &[Output]) -> Vec<Slot> {
    let accepts = accepts_to(peer, outputs).into_iter();
    let rows = accepts.flat_map(|accept| accept.entries);
    rows.map(|entry| entry.slot).collect()
}

/// The slots that were handed out to be applied.
pub(crate) fn applied(outputs: &[Output]) -> Vec<Slot> {
    let slots = |output: &Output| match output {
        Output::Apply { entries } => entries.iter().map(|entry| entry.slot).collect(),
        _ => Vec::new(),
    };
    outputs.iter().flat_map(slots).collect()
}

/// What is written, in order.
pub(crate) fn written(outputs: &[Output]) -> Vec<PersistOp> {
    let ops = |output: &Output| match output {
        Output::Persist { ops, .. } => ops.clone(),
        _ => Vec::new(),
    };
    outputs.iter().flat_map(ops).collect()
}

pub(crate) fn traced(outputs: &[Output], event: Event) -> bool {
    outputs.contains(&Output::Trace(event))
}

/// What was sent, without heartbeats.
pub(crate) fn sent(outputs: &[Output]) -> Vec<(u64, Message)> {
    let message = |output: &Output| match output {
        Output::Send {
            message: Message::Ping(_) | Message::Pong(_),
            ..
        } => None,
        Output::Send { to, message } => Some((to.0, message.clone())),
        _ => None,
    };
    outputs.iter().filter_map(message).collect()
}

pub(crate) fn wrote(outputs: &[Output]) -> bool {
    outputs
        .iter()
        .any(|output| matches!(output, Output::Persist { .. }))
}

pub(crate) fn halted(outputs: &[Output]) -> bool {
    matches!(outputs, [Output::Halt { .. }])
}

impl Bench {
    /// Node 1 of so many voters, which may vote.
    pub(crate) fn new(voters: u64) -> Self {
        let voters: Vec<u64> = (1..=voters).collect();
        let mut bench = Self::starting(&voters, Restored::empty());
        bench.admit();
        bench
    }

    /// Node 1 with these voters and this disk. Nobody has answered its `Hello` yet.
    pub(crate) fn starting(voters: &[u64], restored: Restored) -> Self {
        Self::in_epoch(Configuration::first(nodes(voters)), restored)
    }

    /// Node 1 in some epoch.
    pub(crate) fn in_epoch(configuration: Configuration, restored: Restored) -> Self {
        let options = Options {
            node: NodeId(1),
            configuration,
            seed: 1,
        };
        let disk_seq = restored.disk_seq;
        Self {
            core: Core::new(options, restored, Millis(0)),
            now: Millis(0),
            last: PersistSeq(0),
            disk_seq,
        }
    }

    /// Node 1 leads three voters (or so many) at ballot 1.1@r1, with an empty log.
    pub(crate) fn leader(voters: u64) -> Self {
        let mut bench = Self::new(voters);
        let peers: Vec<u64> = (2..=voters).collect();
        bench.campaign(&peers);
        for peer in 2..=voters / 2 + 1 {
            bench.receive(peer, promise(ballot(1, 1), Vec::new()));
        }
        assert!(bench.core.status().accepts_proposals, "it leads");
        bench
    }

    /// The other voters answer its `Hello`: nobody knows of a later state of its disk.
    pub(crate) fn admit(&mut self) -> Vec<Output> {
        let mut all = Vec::new();
        for output in self.give(Input::Tick) {
            if let Output::Send {
                to,
                message: Message::Hello(hello),
            } = output
            {
                let reply = HelloReply {
                    epoch: hello.epoch,
                    disk_seq: hello.disk_seq,
                    seen: DiskSeq(0),
                };
                all.append(&mut self.receive(to.0, Message::HelloReply(reply)));
            }
        }
        all
    }

    pub(crate) fn give(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.core.step(self.now, input, &mut out);
        for output in &out {
            if let Output::Persist { seq, .. } = output {
                assert!(*seq > self.last, "requests are numbered in order");
                self.last = *seq;
            }
        }
        out
    }

    pub(crate) fn receive(&mut self, from: u64, message: Message) -> Vec<Output> {
        self.give(Input::Message {
            from: NodeId(from),
            message,
        })
    }

    pub(crate) fn propose(&mut self, token: u64, bytes: usize) -> Vec<Output> {
        self.give(Input::Propose {
            token: ProposalToken(token),
            kind: EntryKind::Batch,
            payload: Bytes::from(alloc::vec![1; bytes]),
            wall_clock: Timestamp(5),
        })
    }

    /// The disk has done everything.
    pub(crate) fn persisted(&mut self) -> Vec<Output> {
        self.give(Input::Persisted {
            seq: self.last,
            disk_seq: self.disk_seq,
        })
    }

    /// The voters are to change.
    pub(crate) fn reconfigure(&mut self, expected: u64, voters: &[u64]) -> Vec<Output> {
        self.give(Input::Reconfigure {
            token: ProposalToken(99),
            expected_epoch: Epoch(expected),
            voters: nodes(voters),
            wall_clock: Timestamp(5),
        })
    }

    pub(crate) fn wait(&mut self, ms: u64) -> Vec<Output> {
        self.now = self.now.plus(ms);
        self.give(Input::Tick)
    }

    /// A heartbeat round, answered by `answer`, which gets the voters' pong of this round.
    pub(crate) fn round_with(
        &mut self,
        peers: &[u64],
        answer: impl Fn(u64, Pong) -> Pong,
    ) -> Vec<Output> {
        let mut out = self.wait(HEARTBEAT_MS);
        let round = out.iter().find_map(|output| match output {
            Output::Send {
                message: Message::Ping(ping),
                ..
            } => Some(ping.round),
            _ => None,
        });
        for peer in peers {
            let plain = Pong {
                epoch: self.core.configuration().epoch,
                ..pong(round.unwrap_or(0), Ballot::ZERO)
            };
            out.append(&mut self.receive(*peer, Message::Pong(answer(*peer, plain))));
        }
        out
    }

    /// A heartbeat round in which these peers answer.
    pub(crate) fn round(&mut self, peers: &[u64]) -> Vec<Output> {
        self.round_with(peers, |_, pong| pong)
    }

    /// Time passes, and the peers answer, until this node has promised itself durably.
    pub(crate) fn campaign(&mut self, peers: &[u64]) -> Vec<Output> {
        for _ in 0..10 {
            self.round(peers);
            let out = self.persisted();
            if sent(&out)
                .iter()
                .any(|(_, m)| matches!(m, Message::Prepare(_)))
                || peers.is_empty()
            {
                return out;
            }
        }
        panic!("no campaign");
    }
}
