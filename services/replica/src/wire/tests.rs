//! What is written is read back, and what makes no sense is refused.

use bytes::Bytes;
use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, DiskSeq, Epoch, NodeId, Round, Slot, Timestamp};
use paxos::message::{
    Accept, Accepted, CampaignNow, CatchUp, Confirm, Confirmed, EpochEnded, Gap, Hello, HelloReply,
    Message, Nack, Ping, Pong, Prepare, Promise, Rows,
};
use proptest::prelude::*;
use prost::Message as _;
use proto::v1 as pb;

use super::{Malformed, decode, encode};

fn ballots() -> impl Strategy<Value = Ballot> {
    (1_u64.., any::<u64>(), 1_u64..).prop_map(|(epoch, round, node)| Ballot {
        epoch: Epoch(epoch),
        round: Round(round),
        node: NodeId(node),
    })
}

fn slots() -> impl Strategy<Value = Slot> {
    (Slot::FIRST.0..u64::MAX / 2).prop_map(Slot)
}

fn chains() -> impl Strategy<Value = Chain> {
    any::<[u8; 32]>().prop_map(Chain)
}

/// What an entry holds: kind, clock, payload.
type Value = (u8, u64, Vec<u8>);

fn values() -> impl Strategy<Value = Vec<Value>> {
    let payload = prop::collection::vec(any::<u8>(), 0..64);
    prop::collection::vec((0_u8..=5, any::<u64>(), payload), 0..6)
}

fn entries(first: Slot, ballot: Ballot, before: Chain, values: Vec<Value>) -> Vec<Entry> {
    let mut chain = before;
    let mut slot = first;
    let make = |(kind, clock, payload): Value| {
        let kind = EntryKind::from_u8(kind).expect("0 to 5 are kinds");
        let entry = Entry::new(
            chain,
            slot,
            ballot,
            kind,
            Timestamp(clock),
            Bytes::from(payload),
        );
        chain = entry.chain;
        slot = slot.next();
        entry
    };
    values.into_iter().map(make).collect()
}

fn pongs() -> impl Strategy<Value = Message> {
    let ballot = prop_oneof![Just(Ballot::ZERO), ballots()];
    let node = prop::option::of((1_u64..).prop_map(NodeId));
    let names = (
        node,
        prop::option::of(ballots()),
        prop::option::of(ballots()),
    );
    let numbers = (any::<u64>(), any::<u64>(), slots(), chains(), any::<u64>());
    (ballot, names, any::<(bool, bool, bool)>(), numbers).prop_map(
        |(ballot, names, flags, numbers)| {
            let (following, leading, candidate) = names;
            let (epoch, round, decided, chain, commit_latency_ms) = numbers;
            let (happy, quorum_connected, no_space) = flags;
            let epoch = Epoch(epoch);
            Message::Pong(Pong {
                epoch,
                round,
                ballot,
                following,
                leading,
                candidate,
                happy,
                quorum_connected,
                decided,
                chain,
                commit_latency_ms,
                no_space,
            })
        },
    )
}

fn small() -> impl Strategy<Value = Message> {
    prop_oneof![
        (any::<u64>(), any::<u64>(), slots(), any::<u64>()).prop_map(
            |(epoch, round, decided, disk_seq)| Message::Ping(Ping {
                epoch: Epoch(epoch),
                round,
                decided,
                disk_seq: DiskSeq(disk_seq),
            })
        ),
        (ballots(), slots()).prop_map(|(ballot, from)| Message::Prepare(Prepare { ballot, from })),
        (ballots(), slots(), disk_seqs()).prop_map(|(ballot, upto, disk_seq)| Message::Accepted(
            Accepted {
                ballot,
                upto,
                disk_seq,
            }
        )),
        (ballots(), ballots())
            .prop_map(|(ballot, promised)| Message::Nack(Nack { ballot, promised })),
        (ballots(), slots()).prop_map(|(ballot, expect)| Message::Gap(Gap { ballot, expect })),
        (any::<u64>(), slots()).prop_map(|(epoch, from)| Message::CatchUp(CatchUp {
            epoch: Epoch(epoch),
            from
        })),
    ]
}

fn disk_seqs() -> impl Strategy<Value = DiskSeq> {
    any::<u64>().prop_map(DiskSeq)
}

/// What concerns epochs, reads, hand-over and disks.
fn later() -> impl Strategy<Value = Message> {
    let voters = prop::collection::btree_set((1_u64..).prop_map(NodeId), 1..=7);
    prop_oneof![
        (any::<u64>(), voters, slots()).prop_map(|(epoch, voters, decided)| Message::EpochEnded(
            EpochEnded {
                epoch: Epoch(epoch),
                voters,
                decided,
            }
        )),
        (ballots(), any::<u64>())
            .prop_map(|(ballot, sequence)| Message::Confirm(Confirm { ballot, sequence })),
        (ballots(), any::<u64>())
            .prop_map(|(ballot, sequence)| Message::Confirmed(Confirmed { ballot, sequence })),
        ballots().prop_map(|ballot| Message::CampaignNow(CampaignNow { ballot })),
        (any::<u64>(), disk_seqs()).prop_map(|(epoch, disk_seq)| Message::Hello(Hello {
            epoch: Epoch(epoch),
            disk_seq,
        })),
        (any::<u64>(), disk_seqs(), disk_seqs()).prop_map(|(epoch, disk_seq, seen)| {
            Message::HelloReply(HelloReply {
                epoch: Epoch(epoch),
                disk_seq,
                seen,
            })
        }),
    ]
}

fn large() -> impl Strategy<Value = Message> {
    let parts = (ballots(), slots(), chains(), values());
    (parts, 0_u32..8, 0_u32..4).prop_map(|((ballot, first, chain, values), page, which)| {
        let entries = entries(first, ballot, chain, values);
        match which {
            0 => Message::Promise(Promise {
                ballot,
                decided: first.prev(),
                compacted_to: Slot::GENESIS,
                page,
                pages: page + 1,
                entries,
                disk_seq: DiskSeq(u64::from(page)),
            }),
            1 => Message::Rows(Rows {
                epoch: ballot.epoch,
                entries,
                decided: first,
                compacted_to: first.prev(),
            }),
            _ => Message::Accept(Accept {
                ballot,
                base: first,
                first,
                entries,
                decided: first.prev(),
            }),
        }
    })
}

fn messages() -> impl Strategy<Value = Message> {
    prop_oneof![small(), later(), pongs(), large()]
}

proptest! {
    /// What one replica sends is what the other one's core sees, through real bytes.
    #[test]
    fn every_message_survives_the_wire(message in messages()) {
        let bytes = encode(&message).encode_to_vec();
        let received = pb::PeerMessage::decode(bytes.as_slice()).expect("its own encoding");
        prop_assert_eq!(decode(received), Ok(message));
    }

    /// One flipped bit is noticed, or it is in a field that carries no row.
    #[test]
    fn a_damaged_row_is_refused(
        (ballot, first, chain, mut values) in (ballots(), slots(), chains(), values()),
        flip in any::<prop::sample::Index>(),
    ) {
        values.push((1, 7, b"a message".to_vec()));
        let rows = Rows {
            epoch: Epoch::FIRST,
            entries: entries(first, ballot, chain, values),
            decided: first,
            compacted_to: Slot::GENESIS,
        };
        let mut wire = encode(&Message::Rows(rows));
        let Some(pb::peer_message::Kind::Rows(rows)) = &mut wire.kind else {
            panic!("rows stay rows");
        };
        let row = rows.entries.last_mut().expect("one was pushed");
        let mut payload = row.payload.to_vec();
        let bit = flip.index(payload.len() * 8);
        payload[bit / 8] ^= 1 << (bit % 8);
        row.payload = payload.into();
        let slot = Slot(row.slot);
        prop_assert_eq!(decode(wire), Err(Malformed::Damaged(slot)));
    }

    /// Bytes of any kind never panic.
    #[test]
    fn nonsense_is_refused_or_understood(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(message) = pb::PeerMessage::decode(bytes.as_slice()) {
            let _ = decode(message);
        }
    }
}

fn ballot() -> Ballot {
    Ballot {
        epoch: Epoch::FIRST,
        round: Round(3),
        node: NodeId(2),
    }
}

fn accept() -> pb::Accept {
    let entries = entries(
        Slot(1030),
        ballot(),
        Chain::GENESIS,
        vec![(1, 1, b"one".to_vec()), (1, 2, b"two".to_vec())],
    );
    let accept = Accept {
        ballot: ballot(),
        base: Slot(1028),
        first: Slot(1030),
        entries,
        decided: Slot(1029),
    };
    match encode(&Message::Accept(accept)).kind {
        Some(pb::peer_message::Kind::Accept(accept)) => accept,
        other => panic!("an accept stays one: {other:?}"),
    }
}

fn refused(accept: pb::Accept) -> Malformed {
    let kind = Some(pb::peer_message::Kind::Accept(accept));
    decode(pb::PeerMessage { kind }).expect_err("malformed")
}

/// Each rule of the structure, broken once.
#[test]
fn what_no_replica_sends_is_refused() {
    assert_eq!(
        decode(pb::PeerMessage { kind: None }),
        Err(Malformed::Missing("the message"))
    );
    let mut hole = accept();
    hole.entries.remove(0);
    assert_eq!(
        refused(hole),
        Malformed::Order {
            expected: Slot(1030),
            found: Slot(1031)
        }
    );
    assert_eq!(
        refused(pb::Accept {
            ballot: None,
            ..accept()
        }),
        Malformed::Missing("ballot")
    );
    assert_eq!(
        refused(pb::Accept {
            base: 1031,
            ..accept()
        }),
        Malformed::Range("base")
    );
    assert_eq!(
        refused(pb::Accept {
            decided: 5,
            ..accept()
        }),
        Malformed::Range("slot")
    );
    let other = super::ballot(Ballot {
        round: Round(4),
        ..ballot()
    });
    assert_eq!(
        refused(pb::Accept {
            ballot: other,
            ..accept()
        }),
        Malformed::Range("the ballot of a row")
    );
    let mut kind = accept();
    kind.entries[0].kind = 77;
    assert_eq!(refused(kind), Malformed::Range("the kind of a row"));
    let mut short = accept();
    short.entries[1].chain.pop();
    assert_eq!(refused(short), Malformed::Range("chain"));
    let nobody = pb::Accept {
        ballot: Some(pb::Ballot::default()),
        ..accept()
    };
    assert_eq!(refused(nobody), Malformed::Range("ballot"));
}

/// A page that no acceptor would cut so is refused before it is kept.
#[test]
fn a_promise_has_its_page_among_its_pages() {
    for (page, pages) in [(0, 0), (2, 2), (0, u32::MAX)] {
        let promise = pb::Promise {
            ballot: super::ballot(ballot()),
            decided: Slot::GENESIS.0,
            compacted_to: Slot::GENESIS.0,
            page,
            pages,
            entries: Vec::new(),
            disk_seq: 1,
        };
        let kind = Some(pb::peer_message::Kind::Promise(promise));
        assert_eq!(
            decode(pb::PeerMessage { kind }),
            Err(Malformed::Range("page"))
        );
    }
}

/// No epoch is without voters, and none has more than can be.
#[test]
fn an_ended_epoch_names_its_successors_voters() {
    for voters in [vec![], vec![0], (1..=8).collect()] {
        let ended = pb::EpochEnded {
            epoch: 2,
            voters,
            decided: 2000,
        };
        let kind = Some(pb::peer_message::Kind::EpochEnded(ended));
        assert_eq!(
            decode(pb::PeerMessage { kind }),
            Err(Malformed::Range("voters"))
        );
    }
}
