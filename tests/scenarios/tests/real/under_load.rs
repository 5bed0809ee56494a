//! Many clients over two gateways while the leader is killed, judged by the checker; and the
//! proof that the checker would have seen a loss in this very history.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use checker::{Clock, Event, Kind, Line, Report, Row};
use scenarios::Cluster;
use uuid::Uuid;
use workload::{Ended, Options, Workload};

const SOON: Duration = Duration::from_secs(30);

/// C1 to C4 and C6, from the histories of 16 people, every log and every state, over `kill -9`
/// of the leader; then the same history with one message taken out, and with two exchanged, does
/// not pass.
#[tokio::test(flavor = "multi_thread")]
async fn judged_by_the_checker() -> Result<()> {
    let mut cluster = Cluster::spawn(3, 2).await?;
    cluster.ready(SOON).await?;
    let run = tempfile::tempdir()?;
    let options = Options {
        stray_one_in: 50,
        ..sixteen_people(run.path(), &cluster)
    };
    let mut load = Workload::start(options, Clock::start()).await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let leader = cluster.leader(SOON).await?;
    cluster.replicas[leader].process.kill();
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.replicas[leader].process.restart()?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    load.check()?;
    cluster.ready(SOON).await?;
    let (ended, report) = judged(load, &cluster, run.path()).await?;
    let figures = &report.figures;
    ensure!(figures.acknowledged == ended.live.acked, "{ended:?}");
    // A run in which these did not happen would prove less than this test says.
    ensure!(figures.acknowledged >= 200, "{figures:?}");
    ensure!(figures.connections > 16, "{figures:?}");
    ensure!(
        figures.pages > 20 && figures.whole_reads == 12,
        "{figures:?}"
    );
    ensure!(figures.states == 3 && figures.located > 200, "{figures:?}");

    let (victim, other) = two_messages(run.path())?;
    let without = tampered(run.path(), |row| !is(row, victim.0))?;
    ensure!(without.found(Kind::Lost), "a loss is not seen: {without}");
    let exchanged = tampered(run.path(), |row| {
        if let Some(message) = &mut row.message {
            let place = [victim, other]
                .iter()
                .position(|(cid, _)| *cid == message.cid);
            if let Some(place) = place {
                (message.cid, message.body) = [other, victim][place];
            }
        }
        true
    })?;
    ensure!(
        exchanged.found(Kind::Moved) && exchanged.found(Kind::RealTime),
        "an exchange is not seen: {exchanged}"
    );
    Ok(())
}

/// People who write, look and come back often, through all gateways.
pub(super) fn sixteen_people(folder: &Path, cluster: &Cluster) -> Options {
    Options {
        clients: 16,
        rooms: 6,
        rate: 100.0,
        reconnect_every: Duration::from_secs(3),
        read_every: Duration::from_secs(1),
        visit_every: Duration::from_secs(2),
        ..Options::new(folder.to_owned(), cluster.gateway_urls.clone())
    }
}

/// Everybody goes; then what the checker says, which is that all claims hold, and how it was for them.
pub(super) async fn judged(
    load: Workload,
    cluster: &Cluster,
    folder: &Path,
) -> Result<(Ended, Report)> {
    let ended = load.stop(Duration::from_secs(20), SOON).await?;
    collect(cluster, folder).await?;
    let report = checker::check(folder)?;
    // Past the capture of the test runner: a figure is for people even when the test passes.
    let _ = writeln!(std::io::stderr(), "{report}");
    ensure!(report.holds(), "{report}");
    ensure!(ended.unknown == 0, "{} have no answer", ended.unknown);
    Ok((ended, report))
}

/// The logs and states of all replicas, once they stand at one slot.
async fn collect(cluster: &Cluster, folder: &Path) -> Result<()> {
    cluster.equal_chains(&cluster.all(), SOON).await?;
    for index in cluster.all() {
        let replica = &cluster.replicas[index];
        checker::keep_node(&replica.address, replica.data.join("state.db"), folder).await?;
    }
    Ok(())
}

fn is(row: &Row, cid: Uuid) -> bool {
    row.message.is_some_and(|message| message.cid == cid)
}

/// Two acknowledged messages of one author, one after the other in one room, with their texts.
fn two_messages(folder: &Path) -> Result<((Uuid, u64), (Uuid, u64))> {
    let text = std::fs::read_to_string(folder.join("clients/w3.jsonl"))?;
    let mut texts = BTreeMap::new();
    let mut acked: Vec<(u64, Uuid)> = Vec::new();
    for line in text.lines() {
        match Line::parse(line)? {
            Line(_, Event::Sent { cid, body, .. }) => {
                texts.insert(cid, body);
            }
            Line(_, Event::Acked { cid, room, .. }) => {
                if let Some((_, first)) = acked.iter().find(|(other, _)| *other == room) {
                    return Ok(((*first, texts[first]), (cid, texts[&cid])));
                }
                acked.push((room, cid));
            }
            Line(..) => {}
        }
    }
    anyhow::bail!("w3 sent less than two messages to each of its rooms")
}

/// What the checker says when every row that anybody was shown is changed, or left out.
fn tampered(folder: &Path, mut keep: impl FnMut(&mut Row) -> bool) -> Result<Report> {
    let mut checker = checker::Checker::new();
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder.join("clients"))? {
        names.insert(entry?.path());
    }
    for path in names {
        let mut lines = Vec::new();
        for line in std::fs::read_to_string(&path)?.lines() {
            let Line(at, mut event) = Line::parse(line)?;
            let kept = match &mut event {
                Event::Shown { row, .. } => keep(row),
                Event::Page { rows, .. } => {
                    rows.retain_mut(&mut keep);
                    true
                }
                _ => true,
            };
            lines.extend(kept.then_some(Line(at, event)));
        }
        let name = path.file_stem().context("a file has a name")?;
        checker.client(&name.to_string_lossy(), lines);
    }
    Ok(checker.finish())
}
