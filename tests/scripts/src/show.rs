//! The short forms in which a trace is written, one line for each thing.
//!
//! In: what enters and leaves a core. Out: text. Invariants: nothing that depends on the
//! machine or on a random number is shown, so the same script gives the same trace.
//! Tests: the traces themselves

use std::collections::BTreeSet;

use paxos::message::{Accept, Message, Ping, Pong, Promise, Rows};
use paxos::{
    Ballot, Configuration, Entry, EntryKind, Event, HaltReason, NodeId, PersistOp, RejectReason,
    RoleName, Seal, Slot, Status,
};

/// The kinds of messages, as scripts name them.
pub(crate) const KINDS: [&str; 16] = [
    "Ping",
    "Pong",
    "Prepare",
    "Promise",
    "Accept",
    "Accepted",
    "Nack",
    "Gap",
    "CatchUp",
    "Rows",
    "EpochEnded",
    "Confirm",
    "Confirmed",
    "CampaignNow",
    "Hello",
    "HelloReply",
];

/// More rows than this in a row are written as the first, the last and their number.
const ROWS_SHOWN_MAX: usize = 4;

/// The kind of a message.
pub(crate) const fn kind(message: &Message) -> &'static str {
    match message {
        Message::Ping(_) => "Ping",
        Message::Pong(_) => "Pong",
        Message::Prepare(_) => "Prepare",
        Message::Promise(_) => "Promise",
        Message::Accept(_) => "Accept",
        Message::Accepted(_) => "Accepted",
        Message::Nack(_) => "Nack",
        Message::Gap(_) => "Gap",
        Message::CatchUp(_) => "CatchUp",
        Message::Rows(_) => "Rows",
        Message::EpochEnded(_) => "EpochEnded",
        Message::Confirm(_) => "Confirm",
        Message::Confirmed(_) => "Confirmed",
        Message::CampaignNow(_) => "CampaignNow",
        Message::Hello(_) => "Hello",
        Message::HelloReply(_) => "HelloReply",
    }
}

/// Whether a message is written only at the level of everything.
pub(crate) const fn is_heartbeat(message: &Message) -> bool {
    matches!(message, Message::Ping(_) | Message::Pong(_))
}

/// A message. `round` counts the rounds of the process that sent the `Ping`, which itself
/// begins at a random number.
pub(crate) fn message(message: &Message, round: &str) -> String {
    let kind = kind(message);
    match message {
        Message::Ping(ping) => self::ping(ping, round),
        Message::Pong(pong) => self::pong(pong, round),
        Message::Prepare(prepare) => format!("{kind} {} from={}", prepare.ballot, prepare.from),
        Message::Promise(promise) => self::promise(promise),
        Message::Accept(accept) => self::accept(accept),
        Message::Accepted(accepted) => {
            let (ballot, upto, disk_seq) = (accepted.ballot, accepted.upto, accepted.disk_seq);
            format!("{kind} {ballot} upto={upto} {disk_seq}")
        }
        Message::Nack(nack) => format!("{kind} {} promised={}", nack.ballot, nack.promised),
        Message::Gap(gap) => format!("{kind} {} expect={}", gap.ballot, gap.expect),
        Message::CatchUp(request) => format!("{kind} {} from={}", request.epoch, request.from),
        Message::Rows(rows) => self::rows(rows),
        Message::EpochEnded(ended) => {
            let voters = nodes(&ended.voters);
            format!(
                "{kind} now={}({voters}) decided={}",
                ended.epoch, ended.decided
            )
        }
        Message::Confirm(confirm) => format!("{kind} {} #{}", confirm.ballot, confirm.sequence),
        Message::Confirmed(confirmed) => {
            format!("{kind} {} #{}", confirmed.ballot, confirmed.sequence)
        }
        Message::CampaignNow(request) => format!("{kind} {}", request.ballot),
        Message::Hello(hello) => format!("{kind} {} {}", hello.epoch, hello.disk_seq),
        Message::HelloReply(reply) => {
            let (epoch, disk_seq, seen) = (reply.epoch, reply.disk_seq, reply.seen);
            format!("{kind} {epoch} {disk_seq} seen={seen}")
        }
    }
}

fn ping(ping: &Ping, round: &str) -> String {
    format!("Ping {} round={round} decided={}", ping.epoch, ping.decided)
}

fn pong(pong: &Pong, round: &str) -> String {
    let mut text = format!("Pong {} round={round} promised={}", pong.epoch, pong.ballot);
    if let Some(ballot) = pong.leading {
        text.push_str(&format!(" leads={ballot}"));
    }
    if let Some(ballot) = pong.candidate {
        text.push_str(&format!(" candidate={ballot}"));
    }
    if let Some(node) = pong.following {
        text.push_str(&format!(" follows={node}"));
    }
    for (flag, name) in [
        (pong.happy, " happy"),
        (pong.quorum_connected, " quorum"),
        (pong.no_space, " no-space"),
    ] {
        text.push_str(if flag { name } else { "" });
    }
    if pong.commit_latency_ms > 0 {
        text.push_str(&format!(" disk={}ms", pong.commit_latency_ms));
    }
    format!("{text} decided={}", pong.decided)
}

fn promise(promise: &Promise) -> String {
    let mut text = format!("Promise {} decided={}", promise.ballot, promise.decided);
    if promise.pages > 1 {
        text.push_str(&format!(
            " page={}/{}",
            promise.page.saturating_add(1),
            promise.pages
        ));
    }
    let rows = entries(&promise.entries, None);
    format!(
        "{text}{} [{rows}] {}",
        compacted(promise.compacted_to),
        promise.disk_seq
    )
}

fn accept(accept: &Accept) -> String {
    let Accept {
        ballot,
        base,
        first,
        decided,
        ..
    } = accept;
    let rows = entries(&accept.entries, Some(*ballot));
    if accept.entries.is_empty() {
        return format!("Accept {ballot} base={base} next={first} [] decided={decided}");
    }
    format!("Accept {ballot} base={base} [{rows}] decided={decided}")
}

fn rows(rows: &Rows) -> String {
    let compacted = compacted(rows.compacted_to);
    let entries = entries(&rows.entries, None);
    format!(
        "Rows {} [{entries}] decided={}{compacted}",
        rows.epoch, rows.decided
    )
}

fn compacted(upto: Slot) -> String {
    if upto > Slot::GENESIS {
        format!(" compacted={upto}")
    } else {
        String::new()
    }
}

/// Rows of the log, with their ballots unless all are of `known`.
pub(crate) fn entries(entries: &[Entry], known: Option<Ballot>) -> String {
    let show = |entry: &Entry| self::entry(entry, known);
    let (first, last) = (entries.first(), entries.last());
    if let (Some(first), Some(last)) = (first, last)
        && entries.len() > ROWS_SHOWN_MAX
    {
        return format!("{} .. {} = {} rows", show(first), show(last), entries.len());
    }
    entries.iter().map(show).collect::<Vec<_>>().join(" ")
}

/// One row: `s1024:value`, and its ballot unless it is `known`.
fn entry(entry: &Entry, known: Option<Ballot>) -> String {
    let value = value(entry);
    if known == Some(entry.ballot) {
        return format!("{}:{value}", entry.slot);
    }
    format!("{}:{value}/{}", entry.slot, entry.ballot)
}

fn value(entry: &Entry) -> String {
    match entry.kind {
        EntryKind::Seal => Seal::decode(&entry.payload).map_or_else(
            || "Seal(unreadable)".to_owned(),
            |seal| {
                format!(
                    "Seal({}={} by {})",
                    seal.epoch,
                    nodes(&seal.voters),
                    seal.starter
                )
            },
        ),
        EntryKind::Noop | EntryKind::Ready => format!("{:?}", entry.kind),
        EntryKind::Batch | EntryKind::RegisterNode | EntryKind::RegisterSession => {
            String::from_utf8_lossy(&entry.payload).into_owned()
        }
    }
}

/// Nodes, as in `r1,r2,r3`.
pub(crate) fn nodes(nodes: &BTreeSet<NodeId>) -> String {
    let names: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
    names.join(",")
}

/// The voters of an epoch and where it begins.
pub(crate) fn configuration(configuration: &Configuration) -> String {
    let voters = nodes(&configuration.voters);
    format!(
        "{}({voters}) above {}",
        configuration.epoch, configuration.start
    )
}

/// What one request writes, in one transaction.
pub(crate) fn ops(ops: &[PersistOp]) -> String {
    let show = |op: &PersistOp| match op {
        PersistOp::Promise(ballot) => format!("promise {ballot}"),
        PersistOp::Accept(rows) => format!("rows [{}]", entries(rows, None)),
        PersistOp::Decided { slot, .. } => format!("decided {slot}"),
        PersistOp::Activate { configuration, .. } => {
            format!("activate {}", self::configuration(configuration))
        }
        PersistOp::Compact { upto } => format!("compact {upto}"),
        PersistOp::Witness { node, disk_seq } => format!("witness {node} {disk_seq}"),
    };
    ops.iter().map(show).collect::<Vec<_>>().join("; ")
}

/// What a core reports.
pub(crate) fn event(event: &Event) -> String {
    match event {
        Event::Campaigning(ballot) => format!("campaigns at {ballot}"),
        Event::Leading(ballot) => format!("leads at {ballot}"),
        Event::SteppedDown(ballot) => format!("steps down from {ballot}"),
        Event::Following(ballot) => format!("follows {} at {ballot}", ballot.node),
        Event::Leaderless => "knows no leader".to_owned(),
        Event::QuorumConnected(true) => "hears a quorum".to_owned(),
        Event::QuorumConnected(false) => "hears no quorum".to_owned(),
        Event::Decided(slot) => format!("decides up to {slot}"),
        Event::SuffixDropped { from, upto, hole } => {
            let why = if *hole { "a hole" } else { "does not follow" };
            format!("leaves out {from}..{upto}: {why}")
        }
        Event::CatchingUp { from, upto } => format!("fetches {from}..{upto}"),
        Event::Sealing(slot) => format!("ends its epoch at {slot}"),
        Event::Differs { slot, peer } => {
            format!("ignores {peer} from now on: its history differs at {slot}")
        }
        Event::EpochReady(epoch) => format!("knows that {epoch} is ready"),
        Event::HandingOver { to } => format!("hands over to {to}"),
        Event::Admitted => "is admitted: its disk may vote".to_owned(),
        Event::Repaired => "is repaired: it promises again".to_owned(),
    }
}

/// Why a proposal or a read was refused.
pub(crate) fn refusal(reason: RejectReason) -> String {
    match reason {
        RejectReason::NotLeader { leader: Some(node) } => format!("not the leader, ask {node}"),
        RejectReason::NotLeader { leader: None } => "not the leader, and knows none".to_owned(),
        RejectReason::NoQuorum => "no quorum".to_owned(),
        RejectReason::WindowFull => "the window is full".to_owned(),
        RejectReason::TooLarge => "too large".to_owned(),
        RejectReason::Unsettled => "unsettled, try again".to_owned(),
        RejectReason::NoSpace => "no space".to_owned(),
        RejectReason::EpochChanged { epoch } => format!("the epoch is {epoch}"),
        RejectReason::BadVoters => "no such voters".to_owned(),
    }
}

/// Why a replica stopped.
pub(crate) fn halt(reason: &HaltReason) -> String {
    match reason {
        HaltReason::Diverged {
            slot,
            peer: Some(peer),
        } => {
            format!("the history at {slot} differs from that of {peer}")
        }
        HaltReason::Diverged { slot, peer: None } => format!("{slot} does not follow"),
        HaltReason::DuplicateIdentity { ballot } => format!("{ballot} came from elsewhere"),
        HaltReason::DiskTurnedBack { own, seen, peer } => {
            format!("its disk is at {own}, but {peer} has seen {seen} of it")
        }
        HaltReason::Unreadable { slot } => format!("{slot} cannot be understood"),
    }
}

/// One line about a node.
pub(crate) fn status(status: &Status) -> String {
    let role = match status.role {
        _ if !status.is_voter => "learner",
        RoleName::Follower => "follower",
        RoleName::Candidate => "candidate",
        RoleName::Leader => "leader",
    };
    let epoch = status.configuration.epoch;
    let mut text = format!("{role} {epoch} promised={}", status.promised);
    if let Some(leader) = status.leader {
        text.push_str(&format!(" leader={leader}"));
    }
    let (decided, applied) = (status.decided, status.applied);
    text.push_str(&format!(" decided={decided} applied={applied}"));
    if status.undecided_slots > 0 {
        text.push_str(&format!(" undecided={}", status.undecided_slots));
    }
    text.push_str(&compacted(status.compacted_to));
    for (flag, name) in [
        (status.happy, "happy"),
        (status.is_voter && !status.admitted, "not-admitted"),
        (status.damaged_slots > 0, "damaged"),
        (status.no_space, "no-space"),
        (!status.active, "activating"),
        (!status.ready, "not-ready"),
        (status.unsettled, "unsettled"),
    ] {
        if flag {
            text.push_str(&format!(" {name}"));
        }
    }
    text
}
