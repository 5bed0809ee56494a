//! Runs the commands of a script one after the other and writes down their traces.
//!
//! In: a script. Out: the same with the traces that the cores gave. Invariants: a command that
//! does nothing is an error, so a script cannot show what does not happen; a violated assertion
//! of a core is an error at the script's line. Tests: every script

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use paxos::limits::{HEARTBEAT_MS, TICK_MS};
use paxos::{EntryKind, Input, NodeId, PersistSeq, RoleName, Slot, Timestamp};

use crate::command::{self, Command, Level, Nodes};
use crate::disk::Disk;
use crate::node::Node;
use crate::script::{Piece, Script};
use crate::show;
use crate::world::World;

/// Events after which `settle` is taken for a loop without end.
const SETTLE_STEPS_MAX: u32 = 100_000;
/// Ticks after which a node that was told to campaign is taken for one that never will.
const CAMPAIGN_TICKS_MAX: u32 = 1_000;

/// Replaces the traces of a script by those that its commands cause.
pub(crate) fn run(script: &mut Script) -> Result<()> {
    let mut world = World::default();
    let mut level = Level::Traffic;
    let mut before = String::new();
    for piece in &mut script.pieces {
        let Piece::Command(block) = piece else {
            continue;
        };
        let at = || format!("line {}: > {}{before}", block.line, block.command);
        let command = command::parse(&block.command).with_context(at)?;
        let (command, quiet) = match command {
            Command::Quietly(command) => (*command, true),
            command => (command, false),
        };
        if let Command::Show(shown) = command {
            level = shown;
            block.trace.clear();
            continue;
        }
        let silent = quiet || is_silent(&command);
        let done = catch_unwind(AssertUnwindSafe(|| execute(&mut world, command, level)));
        done.unwrap_or_else(|panic| Err(anyhow!("{}", reason(&*panic))))
            .with_context(at)?;
        block.trace = world.take_lines(level);
        if silent {
            block.trace.clear();
        } else if block.trace.is_empty() {
            block.trace.push("(nothing)".to_owned());
        }
        let trace = block.trace.join("\n  ");
        before = format!("\nafter > {}\n  {trace}\nbecause", block.command);
    }
    Ok(())
}

fn reason(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("the core panicked").to_owned()
}

/// Commands that prepare what is to come and of which there is nothing to see.
const fn is_silent(command: &Command) -> bool {
    matches!(
        command,
        Command::Cluster(..)
            | Command::Standby(_)
            | Command::Cut(_)
            | Command::Heal(_)
            | Command::Stuck(..)
            | Command::Damage(..)
            | Command::Rewrite(..)
            | Command::Save(_)
            | Command::Restore(_)
    )
}

fn execute(world: &mut World, command: Command, level: Level) -> Result<()> {
    match command {
        Command::Cluster(count, leader) => {
            ensure!(world.nodes.is_empty(), "a script has one cluster");
            world.genesis = (1..=count).map(NodeId).collect();
            let nodes: Vec<NodeId> = world.genesis.iter().copied().collect();
            add(world, nodes)?;
            leader.map_or(Ok(()), |id| elect(world, id))
        }
        Command::Standby(Nodes::These(nodes)) => add(world, nodes),
        Command::Standby(Nodes::All) => bail!("which node?"),
        Command::Start(nodes) => start(world, &nodes),
        Command::Crash(nodes) => world
            .select(&nodes)
            .into_iter()
            .try_for_each(|id| world.crash(id)),
        Command::Restart(nodes) => world.select(&nodes).into_iter().try_for_each(|id| {
            world.crash(id)?;
            world.start(id)
        }),
        Command::Tick(nodes, ms) => tick(world, &nodes, ms),
        Command::Round(count) => (0..count).try_for_each(|_| round(world)),
        Command::Run(ms) => run_for(world, ms, level),
        Command::Campaign(id) => campaign(world, id),
        Command::Settle => settle(world),
        Command::Status(nodes) => status(world, &nodes),
        Command::Show(_) | Command::Quietly(_) => bail!("not inside another command"),
        other => execute_network(world, other),
    }
}

fn execute_network(world: &mut World, command: Command) -> Result<()> {
    match command {
        Command::Deliver(route) => {
            let letters = world.wire.take(&route);
            ensure!(!letters.is_empty(), "nothing of this is under way");
            letters
                .into_iter()
                .try_for_each(|letter| world.arrive(letter))
        }
        Command::Duplicate(route) => {
            let letters = world.wire.take(&route);
            ensure!(!letters.is_empty(), "nothing of this is under way");
            letters.into_iter().try_for_each(|letter| {
                world.wire.letters.push_back(letter.clone());
                world.arrive(letter)
            })
        }
        Command::Drop(route) => {
            let letters = world.wire.take(&route);
            ensure!(!letters.is_empty(), "nothing of this is under way");
            for letter in letters {
                let text = world.text(letter.from, letter.to, &letter.message);
                let line = format!("lost: {} -> {} {text}", letter.from, letter.to);
                world.say(Level::Traffic, line);
            }
            Ok(())
        }
        Command::Cut(route) => {
            world.wire.cut(route);
            Ok(())
        }
        Command::Heal(route) => {
            ensure!(world.wire.heal(&route), "no cut was made with these words");
            Ok(())
        }
        Command::Wire => {
            let letters = world.wire.letters.iter();
            let line = |l: &crate::wire::Letter| {
                let text = world.text(l.from, l.to, &l.message);
                format!("{} -> {} {text}", l.from, l.to)
            };
            let lines: Vec<String> = letters.map(line).collect();
            lines
                .into_iter()
                .for_each(|line| world.say(Level::Events, line));
            Ok(())
        }
        other => execute_client(world, other),
    }
}

fn execute_client(world: &mut World, command: Command) -> Result<()> {
    match command {
        Command::Propose(id, values) => values.iter().try_for_each(|value| {
            let token = world.next_proposal();
            let input = Input::Propose {
                token,
                kind: EntryKind::Batch,
                payload: Bytes::copy_from_slice(value.as_bytes()),
                wall_clock: Timestamp(world.now.0),
            };
            world.step(id, input)
        }),
        Command::Read(id, count) => (0..count).try_for_each(|_| {
            let token = world.next_read();
            world.step(id, Input::Read { token })
        }),
        Command::Reconfigure(id, expected_epoch, voters) => {
            let token = world.next_proposal();
            let wall_clock = Timestamp(world.now.0);
            let input = Input::Reconfigure {
                token,
                expected_epoch,
                voters,
                wall_clock,
            };
            world.step(id, input)
        }
        Command::Transfer(id, to) => world.step(id, Input::TransferLead { to }),
        Command::Contacts(id, nodes) => world.step(id, Input::Contacts { nodes }),
        Command::Space(id, low) => world.step(id, Input::Space { low }),
        Command::Compact(id, upto) => world.step(id, Input::Compact { upto }),
        other => execute_disk(world, other),
    }
}

fn execute_disk(world: &mut World, command: Command) -> Result<()> {
    match command {
        Command::Persist(nodes, upto) => {
            let upto = PersistSeq(upto.unwrap_or(u64::MAX));
            let mut any = false;
            for id in world.select(&nodes) {
                any |= world.persist(id, upto)?;
            }
            ensure!(any, "nothing waits for this disk");
        }
        Command::Apply(nodes) => {
            let mut any = false;
            for id in world.select(&nodes) {
                any |= world.apply(id)?;
            }
            ensure!(any, "nothing was handed out");
        }
        Command::Stuck(id, stuck) => world.node(id)?.stuck = stuck,
        Command::Damage(id, slot) => stopped(world, id)?.disk.damage(slot)?,
        Command::Rewrite(id, slot, value) => {
            stopped(world, id)?.disk.rewrite(slot, &value)?;
            world.oracle.tampered = true;
        }
        Command::Save(id) => {
            let node = world.node(id)?;
            node.saved = Some(node.disk.clone());
        }
        Command::Restore(id) => {
            let node = stopped(world, id)?;
            node.disk = node.saved.clone().context("no copy was made")?;
        }
        Command::Snapshot { to, from } => snapshot(world, to, from)?,
        Command::Disk(id) => {
            let lines = world.describe_disk(id)?;
            lines
                .into_iter()
                .for_each(|line| world.say(Level::Events, line));
        }
        other => bail!("not handled: {other:?}"),
    }
    Ok(())
}

fn add(world: &mut World, nodes: Vec<NodeId>) -> Result<()> {
    ensure!(!world.genesis.is_empty(), "`cluster` comes first");
    for id in nodes {
        let node = Node::new(Disk::new(&world.genesis));
        ensure!(
            world.nodes.insert(id, node).is_none(),
            "there is an {id} already"
        );
    }
    Ok(())
}

/// All start, are admitted and elect one of them, as `election/cold-start.script` shows it.
fn elect(world: &mut World, id: NodeId) -> Result<()> {
    start(world, &Nodes::All)?;
    run_for(world, TICK_MS, Level::Events)?;
    campaign(world, id)?;
    settle(world)?;
    // Two rounds, so that everybody has heard everybody, and the disks are idle.
    for _ in 0..2 {
        round(world)?;
        settle(world)?;
    }
    Ok(())
}

fn stopped(world: &mut World, id: NodeId) -> Result<&mut Node> {
    ensure!(!world.is_running(id), "{id} has to be stopped before");
    world.node(id)
}

fn start(world: &mut World, nodes: &Nodes) -> Result<()> {
    let ids: Vec<NodeId> = match nodes {
        Nodes::All => {
            let all = world.nodes.keys().copied();
            all.filter(|id| !world.is_running(*id)).collect()
        }
        Nodes::These(these) => these.clone(),
    };
    ensure!(!ids.is_empty(), "all nodes run, or there is none");
    ids.into_iter().try_for_each(|id| world.start(id))
}

fn pass(world: &mut World) {
    world.now = world.now.plus(TICK_MS);
}

fn tick(world: &mut World, nodes: &Nodes, ms: u64) -> Result<()> {
    for _ in 0..ms / TICK_MS {
        pass(world);
        for id in world.select(nodes) {
            world.step(id, Input::Tick)?;
        }
    }
    Ok(())
}

fn round(world: &mut World) -> Result<()> {
    for _ in 0..HEARTBEAT_MS / TICK_MS {
        pass(world);
        for id in world.running() {
            world.step(id, Input::Tick)?;
            world.persist_hints(id)?;
        }
        world.exchange_heartbeats()?;
    }
    Ok(())
}

fn run_for(world: &mut World, ms: u64, level: Level) -> Result<()> {
    for elapsed in 1..=ms / TICK_MS {
        pass(world);
        let mark = world.said();
        for id in world.running() {
            world.step(id, Input::Tick)?;
        }
        settle(world)?;
        let elapsed = elapsed.saturating_mul(TICK_MS);
        world.head(mark, level, format!("-- after {elapsed} ms"));
    }
    Ok(())
}

fn settle(world: &mut World) -> Result<()> {
    for _ in 0..SETTLE_STEPS_MAX {
        if !world.advance()? {
            return Ok(());
        }
    }
    bail!("this does not settle")
}

fn campaign(world: &mut World, id: NodeId) -> Result<()> {
    let ballot = world.process(id)?.core.status().promised;
    for _ in 0..CAMPAIGN_TICKS_MAX {
        pass(world);
        world.step(id, Input::Tick)?;
        world.exchange_heartbeats()?;
        let status = world.process(id)?.core.status();
        if status.role == RoleName::Candidate && status.promised > ballot {
            return Ok(());
        }
    }
    bail!("{id} does not campaign")
}

fn status(world: &mut World, nodes: &Nodes) -> Result<()> {
    let ids: Vec<NodeId> = match nodes {
        Nodes::All => world.nodes.keys().copied().collect(),
        Nodes::These(these) => these.clone(),
    };
    for id in ids {
        let process = world.node(id)?.process.as_ref();
        let text = process.map_or_else(
            || "down".to_owned(),
            |process| show::status(&process.core.status()),
        );
        world.say(Level::Events, format!("{id} {text}"));
    }
    Ok(())
}

/// What the driver does when a core asks for a snapshot: fetches the state of another node,
/// stops the core, swaps the state, tells the log, and starts a new core.
fn snapshot(world: &mut World, to: NodeId, from: NodeId) -> Result<()> {
    let state = world.node(from)?.disk.state.clone();
    let at: Slot = state.applied;
    if world.is_running(to) {
        world.node(to)?.process = None;
    }
    world.node(to)?.disk.install(&state)?;
    world.say(
        Level::Events,
        format!("{to} installs the state of {from} at {at}"),
    );
    world.start(to)
}
