//! One run from beginning to end: a cluster, load, faults, peace, the verdict.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use checker::Clock;
use tokio::sync::watch as channel;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use workload::Workload;

use crate::clock::{Began, now_rfc3339};
use crate::evidence;
use crate::figures::{failovers, samples};
use crate::ground::Ground;
use crate::kind::Kind;
use crate::limits::{BROKEN, DRAIN, EQUAL, READ, READY};
use crate::nemesis::{Done, Nemesis};
use crate::options::Options;
use crate::progress::{self, Counts, Said};
use crate::record::{Mark, Outcome, Record, Verdict, Violation};
use crate::schedule;
use crate::watch::{Watched, watch_cluster};

/// Runs on this ground, and leaves everything in `folder`.
///
/// # Errors
/// When the run cannot be carried out. That claims did not hold is no error: it is in the record.
pub async fn run<G: Ground>(
    options: &Options,
    mut ground: G,
    folder: &Path,
    said: &Said,
) -> Result<Record> {
    // Both clocks begin at one moment: faults and histories lie on one axis.
    let (began, clock) = (Began(Instant::now()), Clock::start());
    let at = now_rfc3339();
    let (watched, watcher) = watch_cluster(ground.replicas(), ground.membership_url(), began);
    ready(&watched, options.replicas).await?;
    for _ in 0..options.standbys {
        ground.add_replica().await?;
    }
    watched.places.send_replace(ground.replicas());
    let gateways = ground.gateway_urls();
    let workload = workload::Options {
        clients: options.clients,
        rooms: options.rooms,
        rooms_per_client: options.rooms.min(2),
        rate: options.rate * f64::from(u32::try_from(options.clients).unwrap_or(u32::MAX)),
        seed: options.seed,
        ..workload::Options::new(folder.to_owned(), gateways)
    };
    let mut load = Workload::start(workload, clock).await?;
    said.begin(began);
    let from = began.ms();
    let kinds = possible(options, &ground, said);
    let mut steps = schedule::draw(options.seed, options.length_ms(), &kinds);
    for step in &mut steps {
        step.at_ms += from;
    }
    let end = from + options.length_ms();
    let (current, faults) = channel::channel(Vec::new());
    let shown = show(said, began, &load, &watched, faults);
    let mut nemesis = Nemesis::new(ground, watched.clone(), began, steps, current, said.clone());
    nemesis.torment(end).await?;
    load.check()?;
    let length_ms = began.ms();
    let (drain, read, equal) = if nemesis.heal().await? {
        (DRAIN, READ, EQUAL)
    } else {
        (BROKEN, BROKEN, BROKEN)
    };
    said.line("reading   every room from its beginning, from every gateway");
    let read = load.stop(drain, read).await;
    shown.abort();
    watcher.abort();
    let (mut ground, mut done) = nemesis.into_parts();
    let kept = evidence::keep(&ground, &done.outages, equal, folder).await;
    done.violations.extend(not_told(read));
    done.violations.extend(not_told(kept));
    said.line("judging   the histories of all clients, the logs and states of all replicas");
    let marks = watched.marks();
    let record = judge(options, &done, marks, at, length_ms, folder)?;
    // For whoever looks for the reason.
    ground.keep_data(!record.verdict.violations.is_empty());
    Ok(record)
}

/// The kinds to draw from: what cannot be had on this ground is said once, unless it was asked for
/// by name; then each step of it is skipped, and says why.
fn possible<G: Ground>(options: &Options, ground: &G, said: &Said) -> Vec<Kind> {
    let mut kinds = options.kinds();
    if options.faults.is_empty() {
        kinds.retain(|kind| match ground.obstacle(*kind) {
            None => true,
            Some(why) => {
                said.line(&format!("absent    {:<18} {why}", kind.name()));
                false
            }
        });
    }
    kinds
}

/// A cluster that does not tell what there is, after all faults have ended, has lost it for now.
fn not_told<T>(asked: Result<T>) -> Option<Violation> {
    let error = asked.err()?;
    Some(Violation {
        kind: "not told".to_owned(),
        words: format!("{error:#}"),
    })
}

async fn ready(watched: &Watched, voters: usize) -> Result<()> {
    let mut view = watched.view.clone();
    let formed = view.wait_for(|view| view.leader.is_some() && view.voters.len() == voters);
    timeout(READY, formed)
        .await
        .with_context(|| format!("no leader of {voters} voters within {READY:?}"))??;
    Ok(())
}

fn show(
    said: &Said,
    began: Began,
    load: &Workload,
    watched: &Watched,
    faults: channel::Receiver<Vec<String>>,
) -> JoinHandle<()> {
    let live = load.watch();
    let counts = move || {
        let live = live();
        Counts {
            sent: live.sent,
            acked: live.acked,
            connections: live.connections,
        }
    };
    let (said, view) = (said.clone(), watched.view.clone());
    tokio::spawn(progress::show(said, began, counts, view, faults))
}

/// What should have happened and has not.
fn too_little(options: &Options, done: &Done) -> Option<Violation> {
    let installed = done
        .faults
        .iter()
        .filter(|fault| fault.outcome == Outcome::Installed);
    let kinds: BTreeSet<&str> = installed.map(|fault| fault.kind.as_str()).collect();
    let few = kinds.len() < options.at_least_kinds || done.replaced < options.at_least_replaced;
    few.then(|| Violation {
        kind: "too little".to_owned(),
        words: format!(
            "{} kinds of faults and {} replacements; {} and {} were asked for",
            kinds.len(),
            done.replaced,
            options.at_least_kinds,
            options.at_least_replaced
        ),
    })
}

/// The verdict, and with it everything that the report shows.
fn judge(
    options: &Options,
    done: &Done,
    marks: Vec<Mark>,
    began: String,
    length_ms: u64,
    folder: &Path,
) -> Result<Record> {
    let report = checker::check(folder)?;
    std::fs::write(folder.join("verdict.txt"), report.to_string())?;
    let traffic = evidence::traffic(folder)?;
    let figures = &report.figures;
    let found = report.violations.iter().map(|violation| Violation {
        kind: violation.kind.to_string(),
        words: violation.words.clone(),
    });
    let verdict = Verdict {
        sent: figures.sent,
        acknowledged: figures.acknowledged,
        refused: figures.refused,
        unknown: figures.unknown,
        shown: figures.shown,
        rows: figures.rows,
        longest_gap_ms: figures.longest_wait_us / 1_000,
        longest_gap_at_ms: figures.longest_wait_from_us / 1_000,
        violations: found
            .chain(done.violations.iter().cloned())
            .chain(too_little(options, done))
            .collect(),
    };
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Ok(Record {
        command: options.command(),
        mode: options.mode.clone(),
        seed: options.seed,
        began,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        length_ms,
        replicas: number(options.replicas),
        gateways: number(options.gateways),
        clients: number(options.clients),
        rooms: number(options.rooms),
        samples: samples(&traffic, length_ms),
        faults: done.faults.clone(),
        marks,
        failovers: failovers(&traffic, &done.leader_kills),
        verdict,
    })
}
