//! Whatever the network brings, a core does not panic: messages with random fields, in an
//! order that no protocol would choose, mixed with its own inputs. It may halt, because some
//! of them prove to it that histories differ; then the next one starts.
//!
//! `SEEDS=100000 cargo test -p paxos --test garbage` runs more of it.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a test")]

use std::collections::BTreeSet;

use bytes::Bytes;
use paxos::message::{
    Accept, Accepted, CampaignNow, CatchUp, Confirm, Confirmed, EpochEnded, Gap, Hello, HelloReply,
    Message, Nack, Ping, Pong, Prepare, Promise, Rows,
};
use paxos::{
    Ballot, Chain, Configuration, Core, DiskSeq, Entry, EntryKind, Epoch, Input, Millis, NodeId,
    Options, Output, PersistSeq, ProposalToken, ReadToken, Restored, Round, Seal, Slot, Timestamp,
};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// Mostly small, sometimes at the end of the range.
    fn number(&mut self, small: u64) -> u64 {
        match self.below(60) {
            0 => u64::MAX,
            1 => u64::MAX - 1,
            2 => 0,
            _ => self.below(small),
        }
    }

    fn ballot(&mut self) -> Ballot {
        let epoch = if self.below(40) == 0 {
            self.number(4)
        } else {
            1
        };
        let round = Round(self.number(12));
        let node = if self.below(300) == 0 {
            1
        } else {
            2 + self.below(3)
        };
        Ballot {
            epoch: Epoch(epoch),
            round,
            node: NodeId(node),
        }
    }

    fn slot(&mut self) -> Slot {
        match self.below(10) {
            0 => Slot(self.number(2_000)),
            _ => Slot(1_023 + self.below(8)),
        }
    }

    fn optional_ballot(&mut self) -> Option<Ballot> {
        (self.below(3) == 0).then(|| self.ballot())
    }
}

/// The entries that everybody would have, so that some of the garbage fits.
fn entries(random: &mut Random, first: Slot, ballot: Ballot) -> Vec<Entry> {
    let mut chain = Chain::GENESIS;
    let mut entries = Vec::new();
    let count = random.below(5);
    let value = u8::from(random.below(400) == 0);
    // Some histories end with a Seal, readable or not.
    let seal = random.below(8) == 0;
    for number in 1_024..1_032 {
        let (slot, time) = (Slot(number), Timestamp(number));
        let (kind, payload) = if seal && number == 1_030 {
            (EntryKind::Seal, seal_payload(random))
        } else {
            (EntryKind::Batch, Bytes::copy_from_slice(&[value]))
        };
        let own = if random.below(6) == 0 {
            random.ballot()
        } else {
            ballot
        };
        let mut entry = Entry::new(chain, slot, own, kind, time, payload);
        chain = entry.chain;
        if random.below(400) == 0 {
            entry.slot = random.slot();
        }
        if number >= first.0 && entries.len() < count as usize {
            entries.push(entry);
        }
    }
    entries
}

/// A `Seal` that names some of four nodes, or nonsense.
fn seal_payload(random: &mut Random) -> Bytes {
    if random.below(10) == 0 {
        return Bytes::from_static(b"nonsense");
    }
    Seal {
        epoch: Epoch(2),
        starter: NodeId(1 + random.below(3)),
        voters: voters(random),
    }
    .encode()
}

fn voters(random: &mut Random) -> BTreeSet<NodeId> {
    let count = 1 + random.below(5);
    (0..count).map(|_| NodeId(1 + random.below(5))).collect()
}

fn pong(random: &mut Random, round: u64) -> Pong {
    let (decided, chain) = match random.below(3) {
        0 => (Slot(1_040), Chain::GENESIS),
        _ => (Slot::GENESIS, Chain::GENESIS),
    };
    Pong {
        epoch: Epoch(1),
        round: if random.below(4) == 0 {
            random.number(9)
        } else {
            round
        },
        ballot: random.ballot(),
        following: None,
        leading: random.optional_ballot(),
        candidate: random.optional_ballot(),
        happy: random.below(8) == 0,
        quorum_connected: random.below(2) == 0,
        decided,
        chain,
        commit_latency_ms: random.number(100),
        no_space: random.below(8) == 0,
    }
}

fn message(random: &mut Random, from: NodeId, round: u64, promised: Ballot) -> Message {
    let kind = random.below(20);
    let mut ballot = if random.below(2) == 0 {
        promised
    } else {
        random.ballot()
    };
    if matches!(kind, 2 | 4 | 5 | 15 | 17) && random.below(8) > 0 {
        ballot.node = from;
    }
    let epoch = match random.below(12) {
        0 => Epoch(random.number(4)),
        _ => Epoch(1),
    };
    let slot = random.slot();
    match kind {
        0 => Message::Ping(Ping {
            epoch,
            round,
            decided: slot,
            disk_seq: DiskSeq(random.number(5)),
        }),
        1 | 10 | 11 => Message::Pong(pong(random, round)),
        2 => Message::Prepare(Prepare { ballot, from: slot }),
        3 | 12 | 13 => Message::Promise(promise(random, ballot)),
        4 | 5 => Message::Accept(accept(random, ballot)),
        6 => Message::Accepted(Accepted {
            ballot,
            upto: slot,
            disk_seq: DiskSeq(random.number(5)),
        }),
        7 => Message::Nack(Nack {
            ballot,
            promised: random.ballot(),
        }),
        8 if random.below(2) == 0 => Message::Gap(Gap {
            ballot,
            expect: slot,
        }),
        8 => Message::CatchUp(CatchUp { epoch, from: slot }),
        9 | 18 | 19 => {
            let entries = entries(random, slot, ballot);
            Message::Rows(Rows {
                epoch,
                entries,
                decided: slot,
                compacted_to: random.slot(),
            })
        }
        _ => rare_message(random, kind, epoch, ballot),
    }
}

fn rare_message(random: &mut Random, kind: u64, epoch: Epoch, ballot: Ballot) -> Message {
    let (sequence, disk_seq) = (random.number(4), DiskSeq(random.number(2)));
    match kind {
        14 => Message::EpochEnded(EpochEnded {
            epoch,
            voters: voters(random),
            decided: random.slot(),
        }),
        15 => Message::Confirm(Confirm { ballot, sequence }),
        16 if random.below(2) == 0 => Message::Hello(Hello { epoch, disk_seq }),
        16 => Message::HelloReply(HelloReply {
            epoch,
            disk_seq,
            seen: DiskSeq(u64::from(random.below(100) == 0)),
        }),
        17 if random.below(2) == 0 => Message::CampaignNow(CampaignNow { ballot }),
        _ => Message::Confirmed(Confirmed { ballot, sequence }),
    }
}

fn promise(random: &mut Random, ballot: Ballot) -> Promise {
    let decided = if random.below(2) == 0 {
        Slot::GENESIS
    } else {
        random.slot()
    };
    let first = random.slot();
    Promise {
        ballot,
        decided,
        compacted_to: random.slot(),
        page: random.below(2) as u32,
        pages: random.below(3) as u32,
        entries: entries(
            random,
            first,
            Ballot {
                round: Round(0),
                ..ballot
            },
        ),
        disk_seq: DiskSeq(random.number(5)),
    }
}

fn accept(random: &mut Random, ballot: Ballot) -> Accept {
    let base = if random.below(2) == 0 {
        Slot::FIRST
    } else {
        random.slot()
    };
    let (first, decided) = (random.slot(), random.slot());
    Accept {
        ballot,
        base,
        first,
        entries: entries(random, first, ballot),
        decided,
    }
}

fn core(seed: u64) -> Core {
    let voters: BTreeSet<NodeId> = (1..=3).map(NodeId).collect();
    let configuration = Configuration::first(voters);
    // Some start with a row that cannot be read, some as a node that does not vote.
    let mut restored = Restored::empty();
    if seed % 7 == 3 {
        restored.damaged.insert(Slot(1_026));
    }
    let node = NodeId(if seed % 11 == 5 { 9 } else { 1 });
    let options = Options {
        node,
        configuration,
        seed,
    };
    let mut core = Core::new(options, restored, Millis(0));
    for from in [2, 3] {
        let reply = HelloReply {
            epoch: Epoch(1),
            disk_seq: DiskSeq(0),
            seen: DiskSeq(0),
        };
        let message = Message::HelloReply(reply);
        let from = NodeId(from);
        core.step(Millis(0), Input::Message { from, message }, &mut Vec::new());
    }
    core
}

/// What one core reached.
#[derive(Default, Debug)]
struct Reached {
    led: u64,
    decided: u64,
    halted: u64,
    epochs: u64,
    reads: u64,
    handed_over: u64,
}

/// What the driver may ask for at any time.
fn own_input(random: &mut Random, step: u64, handed: Slot) -> Input {
    match random.below(6) {
        0 => Input::Read {
            token: ReadToken(step),
        },
        1 => Input::Reconfigure {
            token: ProposalToken(step),
            expected_epoch: Epoch(1 + random.below(2)),
            voters: voters(random),
            wall_clock: Timestamp(random.number(5_000)),
        },
        2 => Input::TransferLead {
            to: NodeId(1 + random.below(5)),
        },
        3 => Input::Compact { upto: handed },
        4 => Input::Space {
            low: random.below(4) == 0,
        },
        _ => Input::Contacts {
            nodes: voters(random),
        },
    }
}

fn run(seed: u64, reached: &mut Reached) {
    let mut random = Random(seed);
    let mut core = core(seed);
    let (mut now, mut last, mut handed, mut round) = (0, 0, Slot::GENESIS, 0);
    let mut out = Vec::new();
    for step in 0..400 {
        now += random.below(20);
        let from = NodeId(2 + random.below(3));
        let input = match random.below(14) {
            0 | 1 => Input::Tick,
            2 => Input::Persisted {
                seq: PersistSeq(last),
                disk_seq: DiskSeq(last),
            },
            3 => Input::Applied { slot: handed },
            4 => Input::Propose {
                token: ProposalToken(step),
                kind: EntryKind::Batch,
                payload: Bytes::from_static(b"x"),
                wall_clock: Timestamp(random.number(5_000)),
            },
            5 => own_input(&mut random, step, handed),
            _ => {
                let promised = core.status().promised;
                let message = message(&mut random, from, round, promised);
                Input::Message { from, message }
            }
        };
        core.step(Millis(now), input, &mut out);
        for output in out.drain(..) {
            match output {
                Output::Persist { seq, .. } => last = seq.0,
                Output::Apply { entries } => handed = entries.last().expect("some").slot,
                Output::Send {
                    message: Message::Ping(ping),
                    ..
                } => round = ping.round,
                Output::EpochBegan { .. } => reached.epochs += 1,
                Output::ReadReady { .. } => reached.reads += 1,
                Output::Trace(paxos::Event::HandingOver { .. }) => reached.handed_over += 1,
                Output::Trace(paxos::Event::Leading(_)) => reached.led += 1,
                Output::Trace(paxos::Event::Decided(_)) => reached.decided += 1,
                Output::Halt { .. } => {
                    reached.halted += 1;
                    return;
                }
                _ => {}
            }
        }
    }
}

#[test]
fn garbage_does_not_stop_a_core() {
    let seeds = std::env::var("SEEDS").map_or(6_000, |text| text.parse().expect("a number"));
    let mut reached = Reached::default();
    for seed in 0..seeds {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut own = Reached::default();
            run(seed, &mut own);
            own
        }));
        let own = result.unwrap_or_else(|_| panic!("seed {seed}"));
        reached.led += own.led;
        reached.decided += own.decided;
        reached.halted += own.halted;
        reached.epochs += own.epochs;
        reached.reads += own.reads;
        reached.handed_over += own.handed_over;
    }
    println!("{reached:?} in {seeds} seeds");
    assert!(
        reached.led > 0 && reached.decided > 0 && reached.epochs > 0 && reached.reads > 0,
        "some of it fits: {reached:?}"
    );
}
