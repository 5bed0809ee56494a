//! One core between a test and nothing: for the tests beside the code.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use bytes::Bytes;

use crate::limits::HEARTBEAT_MS;
use crate::message::{Accept, HelloReply, Pong};
use crate::{
    Ballot, Chain, Configuration, Core, DiskSeq, Entry, EntryKind, Epoch, Input, Message, Millis,
    NodeId, Options, Output, PersistSeq, ProposalToken, Restored, Round, Slot, Timestamp,
};

/// Node 1 of some voters, and the disk that the test answers for.
pub(crate) struct Bench {
    pub(crate) core: Core,
    now: Millis,
    last: PersistSeq,
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
    pub(crate) fn new(voters: u64) -> Self {
        let restored = Restored::empty();
        let voters: BTreeSet<NodeId> = (1..=voters).map(NodeId).collect();
        let configuration = Configuration::first(voters);
        let options = Options {
            node: NodeId(1),
            configuration,
            seed: 1,
        };
        let core = Core::new(options, restored, Millis(0));
        let mut bench = Self {
            core,
            now: Millis(0),
            last: PersistSeq(0),
        };
        bench.admit();
        bench
    }

    /// The other voters answer its `Hello`: nobody knows of a later state of its disk.
    fn admit(&mut self) {
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
                self.receive(to.0, Message::HelloReply(reply));
            }
        }
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
            disk_seq: DiskSeq(0),
        })
    }

    /// A heartbeat round in which these peers answer.
    pub(crate) fn round(&mut self, peers: &[u64]) -> Vec<Output> {
        self.now = self.now.plus(HEARTBEAT_MS);
        let out = self.give(Input::Tick);
        let round = out.iter().find_map(|output| match output {
            Output::Send {
                message: Message::Ping(ping),
                ..
            } => Some(ping.round),
            _ => None,
        });
        for peer in peers {
            let pong = pong(round.unwrap_or(0), Ballot::ZERO);
            self.receive(*peer, Message::Pong(pong));
        }
        out
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
