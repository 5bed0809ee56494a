//! Messages between replicas, as they stand on the wire and as the core knows them.
//!
//! What comes in is checked here: every row's checksum, every number's range, the order of the
//! rows. The core sees nothing that its own kind could not have sent.
//! Tests: wire/tests.rs

#[cfg(test)]
mod tests;

use paxos::entry::{Chain, Entry, EntryKind};
use paxos::ids::{Ballot, DiskSeq, Epoch, NodeId, Round, Slot, Timestamp};
use paxos::limits::{PAGE_BYTES, PROMISE_PAGES_MAX, VOTERS_MAX};
use paxos::message::{
    Accept, Accepted, CampaignNow, CatchUp, Confirm, Confirmed, EpochEnded, Gap, Hello, HelloReply,
    Message, Nack, Ping, Pong, Prepare, Promise, Rows,
};
use proto::v1 as pb;
use proto::v1::peer_message::Kind;

/// Why a message is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A field that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field is out of its range.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// A row is not as its leader made it.
    #[error("the row of slot {0} has a wrong checksum")]
    Damaged(Slot),
    /// The rows do not follow one another, or not the slot that they should.
    #[error("slot {found} stands where {expected} should")]
    Order {
        /// The slot that should be here.
        expected: Slot,
        /// The slot that is.
        found: Slot,
    },
    /// More rows than a page holds.
    #[error("the rows are larger than a page")]
    Large,
}

/// The wire form of a message.
#[must_use]
pub fn encode(message: &Message) -> pb::PeerMessage {
    let kind = match message {
        Message::Ping(m) => Kind::Ping(pb::Ping {
            epoch: m.epoch.0,
            round: m.round,
            decided: m.decided.0,
            disk_seq: m.disk_seq.0,
        }),
        Message::Pong(m) => Kind::Pong(encode_pong(m)),
        Message::Prepare(m) => Kind::Prepare(pb::Prepare {
            ballot: ballot(m.ballot),
            from: m.from.0,
        }),
        Message::Promise(m) => Kind::Promise(encode_promise(m)),
        Message::Accept(m) => Kind::Accept(encode_accept(m)),
        Message::Accepted(m) => Kind::Accepted(pb::Accepted {
            ballot: ballot(m.ballot),
            upto: m.upto.0,
            disk_seq: m.disk_seq.0,
        }),
        Message::Nack(m) => Kind::Nack(pb::Nack {
            ballot: ballot(m.ballot),
            promised: ballot(m.promised),
        }),
        Message::Gap(m) => Kind::Gap(pb::Gap {
            ballot: ballot(m.ballot),
            expect: m.expect.0,
        }),
        Message::CatchUp(m) => Kind::CatchUp(pb::CatchUp {
            epoch: m.epoch.0,
            from: m.from.0,
        }),
        Message::Rows(m) => Kind::Rows(pb::Rows {
            epoch: m.epoch.0,
            entries: entries(&m.entries),
            decided: m.decided.0,
            compacted_to: m.compacted_to.0,
        }),
        Message::EpochEnded(m) => Kind::EpochEnded(pb::EpochEnded {
            epoch: m.epoch.0,
            voters: m.voters.iter().map(|node| node.0).collect(),
            decided: m.decided.0,
        }),
        Message::Confirm(m) => Kind::Confirm(pb::Confirm {
            ballot: ballot(m.ballot),
            sequence: m.sequence,
        }),
        Message::Confirmed(m) => Kind::Confirmed(pb::Confirmed {
            ballot: ballot(m.ballot),
            sequence: m.sequence,
        }),
        Message::CampaignNow(m) => Kind::CampaignNow(pb::CampaignNow {
            ballot: ballot(m.ballot),
        }),
        Message::Hello(m) => Kind::DiskHello(pb::DiskHello {
            epoch: m.epoch.0,
            disk_seq: m.disk_seq.0,
        }),
        Message::HelloReply(m) => Kind::DiskHelloReply(pb::DiskHelloReply {
            epoch: m.epoch.0,
            disk_seq: m.disk_seq.0,
            seen: m.seen.0,
        }),
    };
    pb::PeerMessage { kind: Some(kind) }
}

fn encode_promise(m: &Promise) -> pb::Promise {
    pb::Promise {
        ballot: ballot(m.ballot),
        decided: m.decided.0,
        compacted_to: m.compacted_to.0,
        page: m.page,
        pages: m.pages,
        entries: entries(&m.entries),
        disk_seq: m.disk_seq.0,
    }
}

fn encode_accept(m: &Accept) -> pb::Accept {
    pb::Accept {
        ballot: ballot(m.ballot),
        base: m.base.0,
        first: m.first.0,
        entries: entries(&m.entries),
        decided: m.decided.0,
    }
}

/// The message in its wire form, checked.
pub fn decode(message: pb::PeerMessage) -> Result<Message, Malformed> {
    Ok(
        match message.kind.ok_or(Malformed::Missing("the message"))? {
            Kind::Ping(m) => Message::Ping(Ping {
                epoch: Epoch(m.epoch),
                round: m.round,
                decided: slot(m.decided)?,
                disk_seq: DiskSeq(m.disk_seq),
            }),
            Kind::Pong(m) => Message::Pong(decode_pong(m)?),
            Kind::Prepare(m) => Message::Prepare(Prepare {
                ballot: claimed(m.ballot)?,
                from: Slot(m.from),
            }),
            Kind::Promise(m) => Message::Promise(decode_promise(m)?),
            Kind::Accept(m) => Message::Accept(decode_accept(m)?),
            Kind::Accepted(m) => Message::Accepted(Accepted {
                ballot: claimed(m.ballot)?,
                upto: slot(m.upto)?,
                disk_seq: DiskSeq(m.disk_seq),
            }),
            Kind::Nack(m) => Message::Nack(Nack {
                ballot: claimed(m.ballot)?,
                promised: claimed(m.promised)?,
            }),
            Kind::Gap(m) => Message::Gap(Gap {
                ballot: claimed(m.ballot)?,
                expect: slot(m.expect)?,
            }),
            Kind::CatchUp(m) => Message::CatchUp(CatchUp {
                epoch: Epoch(m.epoch),
                from: slot(m.from)?,
            }),
            Kind::Rows(m) => Message::Rows(Rows {
                epoch: Epoch(m.epoch),
                entries: decode_entries(m.entries, None)?,
                decided: slot(m.decided)?,
                compacted_to: slot(m.compacted_to)?,
            }),
            Kind::EpochEnded(m) => Message::EpochEnded(decode_epoch_ended(&m)?),
            Kind::Confirm(m) => Message::Confirm(Confirm {
                ballot: claimed(m.ballot)?,
                sequence: m.sequence,
            }),
            Kind::Confirmed(m) => Message::Confirmed(Confirmed {
                ballot: claimed(m.ballot)?,
                sequence: m.sequence,
            }),
            Kind::CampaignNow(m) => Message::CampaignNow(CampaignNow {
                ballot: claimed(m.ballot)?,
            }),
            Kind::DiskHello(m) => Message::Hello(Hello {
                epoch: Epoch(m.epoch),
                disk_seq: DiskSeq(m.disk_seq),
            }),
            Kind::DiskHelloReply(m) => Message::HelloReply(HelloReply {
                epoch: Epoch(m.epoch),
                disk_seq: DiskSeq(m.disk_seq),
                seen: DiskSeq(m.seen),
            }),
        },
    )
}

/// The wire form of a row.
#[must_use]
pub fn encode_entry(entry: &Entry) -> pb::Entry {
    pb::Entry {
        slot: entry.slot.0,
        ballot: ballot(entry.ballot),
        kind: u32::from(entry.kind as u8),
        timestamp_ms: entry.timestamp.0,
        payload: entry.payload.clone(),
        chain: entry.chain.0.to_vec(),
        crc: entry.crc,
    }
}

/// The wire form of a ballot.
#[must_use]
pub fn ballot(ballot: Ballot) -> Option<pb::Ballot> {
    let Ballot { epoch, round, node } = ballot;
    Some(pb::Ballot {
        epoch: epoch.0,
        round: round.0,
        node: node.0,
    })
}

/// About how many bytes a message takes on the wire and in a queue.
#[must_use]
pub fn weight_bytes(message: &Message) -> usize {
    let entries = match message {
        Message::Promise(m) => &m.entries,
        Message::Accept(m) => &m.entries,
        Message::Rows(m) => &m.entries,
        Message::Ping(_)
        | Message::Pong(_)
        | Message::Prepare(_)
        | Message::Accepted(_)
        | Message::Nack(_)
        | Message::Gap(_)
        | Message::CatchUp(_)
        | Message::EpochEnded(_)
        | Message::Confirm(_)
        | Message::Confirmed(_)
        | Message::CampaignNow(_)
        | Message::Hello(_)
        | Message::HelloReply(_) => return paxos::limits::ENTRY_OVERHEAD_BYTES,
    };
    entries
        .iter()
        .fold(paxos::limits::ENTRY_OVERHEAD_BYTES, |sum, entry| {
            sum.saturating_add(entry.weight_bytes())
        })
}

fn encode_pong(m: &Pong) -> pb::Pong {
    pb::Pong {
        epoch: m.epoch.0,
        round: m.round,
        ballot: ballot(m.ballot),
        following: m.following.map_or(0, |node| node.0),
        leading: m.leading.and_then(ballot),
        candidate: m.candidate.and_then(ballot),
        happy: m.happy,
        quorum_connected: m.quorum_connected,
        decided: m.decided.0,
        chain: m.chain.0.to_vec(),
        commit_latency_ms: m.commit_latency_ms,
        no_space: m.no_space,
    }
}

fn decode_pong(m: pb::Pong) -> Result<Pong, Malformed> {
    Ok(Pong {
        epoch: Epoch(m.epoch),
        round: m.round,
        ballot: promised(m.ballot)?,
        following: (m.following != 0).then_some(NodeId(m.following)),
        leading: m.leading.map(|ballot| claimed(Some(ballot))).transpose()?,
        candidate: m
            .candidate
            .map(|ballot| claimed(Some(ballot)))
            .transpose()?,
        happy: m.happy,
        quorum_connected: m.quorum_connected,
        decided: slot(m.decided)?,
        chain: chain(&m.chain)?,
        commit_latency_ms: m.commit_latency_ms,
        no_space: m.no_space,
    })
}

fn decode_epoch_ended(m: &pb::EpochEnded) -> Result<EpochEnded, Malformed> {
    if m.voters.is_empty() || m.voters.len() > VOTERS_MAX || m.voters.contains(&0) {
        return Err(Malformed::Range("voters"));
    }
    Ok(EpochEnded {
        epoch: Epoch(m.epoch),
        voters: m.voters.iter().copied().map(NodeId).collect(),
        decided: slot(m.decided)?,
    })
}

fn decode_promise(m: pb::Promise) -> Result<Promise, Malformed> {
    let ballot = claimed(m.ballot)?;
    if m.pages == 0 || m.pages > PROMISE_PAGES_MAX || m.page >= m.pages {
        return Err(Malformed::Range("page"));
    }
    let decided = slot(m.decided)?;
    let compacted_to = slot(m.compacted_to)?;
    let entries = decode_entries(m.entries, None)?;
    if entries.first().is_some_and(|entry| entry.slot <= decided) {
        return Err(Malformed::Range("an undecided slot"));
    }
    Ok(Promise {
        ballot,
        decided,
        compacted_to,
        page: m.page,
        pages: m.pages,
        entries,
        disk_seq: DiskSeq(m.disk_seq),
    })
}

fn decode_accept(m: pb::Accept) -> Result<Accept, Malformed> {
    let (base, first) = (slot(m.base)?, slot(m.first)?);
    if base < Slot::FIRST || first < base {
        return Err(Malformed::Range("base"));
    }
    let ballot = claimed(m.ballot)?;
    let entries = decode_entries(m.entries, Some(first))?;
    if entries.iter().any(|entry| entry.ballot != ballot) {
        return Err(Malformed::Range("the ballot of a row"));
    }
    Ok(Accept {
        ballot,
        base,
        first,
        entries,
        decided: slot(m.decided)?,
    })
}

fn entries(entries: &[Entry]) -> Vec<pb::Entry> {
    entries.iter().map(encode_entry).collect()
}

/// Rows that follow one another, from `first` on if that is known, each intact.
fn decode_entries(rows: Vec<pb::Entry>, first: Option<Slot>) -> Result<Vec<Entry>, Malformed> {
    let mut expected = first;
    let mut bytes = 0_usize;
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let entry = decode_entry(row)?;
        if let Some(expected) = expected
            && entry.slot != expected
        {
            return Err(Malformed::Order {
                expected,
                found: entry.slot,
            });
        }
        expected = Some(entry.slot.next());
        bytes = bytes.saturating_add(entry.weight_bytes());
        entries.push(entry);
    }
    // A page ends with the row that fills it.
    let page_max = PAGE_BYTES + paxos::limits::BATCH_BYTES_MAX;
    if bytes > page_max {
        Err(Malformed::Large)
    } else {
        Ok(entries)
    }
}

fn decode_entry(row: pb::Entry) -> Result<Entry, Malformed> {
    let kind = u8::try_from(row.kind).ok().and_then(EntryKind::from_u8);
    let entry = Entry {
        slot: slot(row.slot)?,
        ballot: claimed(row.ballot)?,
        kind: kind.ok_or(Malformed::Range("the kind of a row"))?,
        timestamp: Timestamp(row.timestamp_ms),
        payload: row.payload,
        chain: chain(&row.chain)?,
        crc: row.crc,
    };
    if entry.slot < Slot::FIRST {
        return Err(Malformed::Range("the slot of a row"));
    }
    if entry.is_intact() {
        Ok(entry)
    } else {
        Err(Malformed::Damaged(entry.slot))
    }
}

/// No slot is below the one before the first.
fn slot(number: u64) -> Result<Slot, Malformed> {
    if number < Slot::GENESIS.0 {
        Err(Malformed::Range("slot"))
    } else {
        Ok(Slot(number))
    }
}

/// A ballot that somebody owns.
fn claimed(ballot: Option<pb::Ballot>) -> Result<Ballot, Malformed> {
    let ballot = promised(ballot)?;
    if ballot.node == NodeId(0) || ballot.epoch == Epoch(0) {
        return Err(Malformed::Range("ballot"));
    }
    Ok(ballot)
}

/// A ballot that somebody owns, or the lowest, which nobody does.
fn promised(ballot: Option<pb::Ballot>) -> Result<Ballot, Malformed> {
    let pb::Ballot { epoch, round, node } = ballot.ok_or(Malformed::Missing("ballot"))?;
    Ok(Ballot {
        epoch: Epoch(epoch),
        round: Round(round),
        node: NodeId(node),
    })
}

fn chain(bytes: &[u8]) -> Result<Chain, Malformed> {
    bytes
        .try_into()
        .map(Chain)
        .map_err(|_| Malformed::Range("chain"))
}
