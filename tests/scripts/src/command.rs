//! What a script may say. README.md beside this crate explains each command.
//!
//! In: the text after `> `. Out: a `Command`. Invariants: what is not understood is an error,
//! never skipped. Tests: below

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use paxos::{Epoch, NodeId, Slot};

use crate::wire::{Pick, Route};

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// New disks of the voters `r1` to this one, and who leads them already.
    Cluster(u64, Option<NodeId>),
    /// New disks of nodes that do not vote.
    Standby(Nodes),
    Start(Nodes),
    Crash(Nodes),
    Restart(Nodes),
    /// So many milliseconds pass for some nodes; nothing arrives meanwhile.
    Tick(Nodes, u64),
    /// So many heartbeat rounds pass for all; only heartbeats arrive meanwhile.
    Round(u64),
    /// So many milliseconds pass in a network and on disks without delay.
    Run(u64),
    /// Heartbeat rounds for one node only, until it campaigns.
    Campaign(NodeId),
    Deliver(Route),
    Drop(Route),
    Duplicate(Route),
    Cut(Route),
    Heal(Route),
    /// Everything under way arrives, is written and is applied.
    Settle,
    /// The writes up to a number, or all, are done.
    Persist(Nodes, Option<u64>),
    /// Whether the disk answers in `settle` and `run`.
    Stuck(NodeId, bool),
    Apply(Nodes),
    Propose(NodeId, Vec<String>),
    Read(NodeId, u64),
    Reconfigure(NodeId, Epoch, BTreeSet<NodeId>),
    Transfer(NodeId, NodeId),
    Compact(NodeId, Slot),
    Space(NodeId, bool),
    Contacts(NodeId, BTreeSet<NodeId>),
    /// The row of a slot cannot be read any more.
    Damage(NodeId, Slot),
    /// The row of a slot holds something else, as a bug would leave it.
    Rewrite(NodeId, Slot, String),
    /// A copy of the disk is made.
    Save(NodeId),
    /// The disk is as it was when the copy was made.
    Restore(NodeId),
    /// The driver installs the state of another node.
    Snapshot {
        to: NodeId,
        from: NodeId,
    },
    Status(Nodes),
    Disk(NodeId),
    Wire,
    Show(Level),
    /// Runs a command without its trace.
    Quietly(Box<Self>),
}

/// Whom a command is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Nodes {
    All,
    These(Vec<NodeId>),
}

/// How much of a trace is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// What the cores report, and the answers to clients.
    Events,
    /// Everything but heartbeats.
    Traffic,
    /// Everything.
    All,
}

/// Reads one command.
pub(crate) fn parse(text: &str) -> Result<Command> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (name, rest) = words.split_first().context("a command is missing")?;
    if *name == "quietly" {
        return Ok(Command::Quietly(Box::new(parse(&rest.join(" "))?)));
    }
    let time = parse_time_and_world(name, rest)?;
    let network = time.map_or_else(|| parse_network(name, rest), |c| Ok(Some(c)))?;
    let client = network.map_or_else(|| parse_client(name, rest), |c| Ok(Some(c)))?;
    let disk = client.map_or_else(|| parse_disk(name, rest), |c| Ok(Some(c)))?;
    disk.with_context(|| format!("unknown command {name:?}: README.md lists them"))
}

fn parse_time_and_world(name: &str, rest: &[&str]) -> Result<Option<Command>> {
    Ok(Some(match (name, rest) {
        ("cluster", [count]) => {
            Command::Cluster(count.parse().context("a number of voters")?, None)
        }
        ("cluster", [count, "led", "by", one]) => Command::Cluster(
            count.parse().context("a number of voters")?,
            Some(node(one)?),
        ),
        ("standby", rest) => Command::Standby(nodes(rest)?),
        ("start", rest) => Command::Start(nodes(rest)?),
        ("crash", rest) => Command::Crash(nodes(rest)?),
        ("restart", rest) => Command::Restart(nodes(rest)?),
        ("tick", [these @ .., time]) => Command::Tick(nodes(these)?, millis(time)?),
        ("round", []) => Command::Round(1),
        ("round", [count]) => Command::Round(count.parse().context("a number of rounds")?),
        ("run", [time]) => Command::Run(millis(time)?),
        ("campaign", [one]) => Command::Campaign(node(one)?),
        ("settle", []) => Command::Settle,
        ("status", rest) => Command::Status(nodes(rest)?),
        ("show", ["events"]) => Command::Show(Level::Events),
        ("show", ["traffic"]) => Command::Show(Level::Traffic),
        ("show", ["all"]) => Command::Show(Level::All),
        _ => return Ok(None),
    }))
}

fn parse_network(name: &str, rest: &[&str]) -> Result<Option<Command>> {
    Ok(Some(match name {
        "deliver" => Command::Deliver(route(rest)?),
        "drop" => Command::Drop(route(rest)?),
        "duplicate" => Command::Duplicate(route(rest)?),
        "cut" => Command::Cut(route(rest)?),
        "heal" => Command::Heal(route(rest)?),
        "wire" if rest.is_empty() => Command::Wire,
        _ => return Ok(None),
    }))
}

fn parse_client(name: &str, rest: &[&str]) -> Result<Option<Command>> {
    Ok(Some(match (name, rest) {
        ("propose", [one, values @ ..]) if !values.is_empty() => {
            let values = values.iter().map(|value| (*value).to_owned());
            Command::Propose(node(one)?, values.collect())
        }
        ("read", [one]) => Command::Read(node(one)?, 1),
        ("read", [one, count]) => Command::Read(node(one)?, count.parse()?),
        ("reconfigure", [one, epoch, voters]) => {
            let epoch = epoch.strip_prefix("epoch=").context("epoch=NUMBER")?;
            let voters = voters.strip_prefix("voters=").context("voters=r1,r2")?;
            let voters: Result<BTreeSet<NodeId>> = voters.split(',').map(node).collect();
            Command::Reconfigure(node(one)?, Epoch(epoch.parse()?), voters?)
        }
        ("transfer", [one, "to", other]) => Command::Transfer(node(one)?, node(other)?),
        ("contacts", [one, others @ ..]) => {
            let others: Result<BTreeSet<NodeId>> = others.iter().map(|n| node(n)).collect();
            Command::Contacts(node(one)?, others?)
        }
        ("space", [one, "low"]) => Command::Space(node(one)?, true),
        ("space", [one, "ok"]) => Command::Space(node(one)?, false),
        _ => return Ok(None),
    }))
}

fn parse_disk(name: &str, rest: &[&str]) -> Result<Option<Command>> {
    Ok(Some(match (name, rest) {
        ("persist", [these @ .., last]) if last.starts_with('p') => {
            let upto = last.trim_start_matches('p').parse().context("pNUMBER")?;
            Command::Persist(nodes(these)?, Some(upto))
        }
        ("persist", rest) => Command::Persist(nodes(rest)?, None),
        ("stuck", [one]) => Command::Stuck(node(one)?, true),
        ("unstuck", [one]) => Command::Stuck(node(one)?, false),
        ("apply", rest) => Command::Apply(nodes(rest)?),
        ("compact", [one, upto]) => Command::Compact(node(one)?, slot(upto)?),
        ("damage", [one, at]) => Command::Damage(node(one)?, slot(at)?),
        ("rewrite", [one, at, value]) => {
            Command::Rewrite(node(one)?, slot(at)?, (*value).to_owned())
        }
        ("save", [one]) => Command::Save(node(one)?),
        ("restore", [one]) => Command::Restore(node(one)?),
        ("snapshot", [to, "from", from]) => Command::Snapshot {
            to: node(to)?,
            from: node(from)?,
        },
        ("disk", [one]) => Command::Disk(node(one)?),
        _ => return Ok(None),
    }))
}

fn node(word: &str) -> Result<NodeId> {
    let number = word.strip_prefix('r').and_then(|n| n.parse().ok());
    let number = number.with_context(|| format!("a node such as r1, not {word:?}"))?;
    ensure!(number > 0, "nodes are numbered from 1");
    Ok(NodeId(number))
}

fn nodes(words: &[&str]) -> Result<Nodes> {
    match words {
        [] | ["all"] => Ok(Nodes::All),
        _ => {
            let these: Result<Vec<NodeId>> = words.iter().map(|word| node(word)).collect();
            Ok(Nodes::These(these?))
        }
    }
}

fn slot(word: &str) -> Result<Slot> {
    let number = word.strip_prefix('s').and_then(|n| n.parse().ok());
    let number = number.with_context(|| format!("a slot such as s1024, not {word:?}"))?;
    Ok(Slot(number))
}

fn millis(word: &str) -> Result<u64> {
    let (number, unit) = match (word.strip_suffix("ms"), word.strip_suffix('s')) {
        (Some(number), _) => (number, 1),
        (None, Some(number)) => (number, 1_000),
        (None, None) => bail!("a time such as 100ms or 2s, not {word:?}"),
    };
    let number: u64 = number
        .parse()
        .with_context(|| format!("a time: {word:?}"))?;
    let ms = number.saturating_mul(unit);
    let tick = paxos::limits::TICK_MS;
    ensure!(
        ms > 0 && ms.is_multiple_of(tick),
        "time passes in ticks of {tick} ms"
    );
    Ok(ms)
}

/// `[r1->r2] [Kind] [first|last]`, where `*` is any node.
fn route(words: &[&str]) -> Result<Route> {
    let mut route = Route::default();
    for word in words {
        if let Some((from, to)) = word.split_once("->") {
            route.from = any_or_node(from)?;
            route.to = any_or_node(to)?;
        } else if let Some((one, other)) = word.split_once("<>") {
            route.from = any_or_node(one)?;
            route.to = any_or_node(other)?;
            route.both = true;
        } else if *word == "first" {
            route.pick = Pick::First;
        } else if *word == "last" {
            route.pick = Pick::Last;
        } else {
            let known = crate::show::KINDS.iter().find(|kind| *kind == word);
            let kind = known.with_context(|| format!("no kind of message: {word:?}"))?;
            route.kind = Some(kind);
        }
    }
    Ok(route)
}

fn any_or_node(word: &str) -> Result<Option<NodeId>> {
    if word == "*" {
        return Ok(None);
    }
    node(word).map(Some)
}

#[cfg(test)]
mod tests {
    use super::{Command, Nodes, parse};
    use paxos::{Epoch, NodeId};

    #[test]
    fn commands_are_read_word_by_word() {
        let (one, two, four) = (NodeId(1), NodeId(2), NodeId(4));
        for (text, expected) in [
            ("tick r1 100ms", Command::Tick(Nodes::These(vec![one]), 100)),
            ("tick 1s", Command::Tick(Nodes::All, 1_000)),
            (
                "persist r1 p3",
                Command::Persist(Nodes::These(vec![one]), Some(3)),
            ),
            ("persist", Command::Persist(Nodes::All, None)),
            (
                "reconfigure r1 epoch=1 voters=r1,r2,r4",
                Command::Reconfigure(one, Epoch(1), [one, two, four].into()),
            ),
            ("transfer r1 to r2", Command::Transfer(one, two)),
            (
                "quietly settle",
                Command::Quietly(Box::new(Command::Settle)),
            ),
        ] {
            assert_eq!(parse(text).expect(text), expected);
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in [
            "",
            "quietly",
            "dance",
            "start n1",
            "start r0",
            "tick 15ms",
            "tick r1",
            "deliver r1->r2 Letter",
            "reconfigure r1 voters=r1 epoch=1",
            "compact r1 1024",
            "transfer r1 r2",
            "show nothing",
            "wire r1",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
