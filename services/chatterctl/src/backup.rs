//! `chatterctl backup`: a copy of the state of a running cluster, made by one replica while load
//! goes on, checked and durable when the command ends.

use std::cmp::Reverse;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use archive::{Backup, Draft, Manifest};
use proto::v1::admin_client::AdminClient;
use proto::v1::{BackupHeader, BackupPiece, BackupRequest, backup_piece};
use tonic::Streaming;

use crate::cli::BackupArgs;
use crate::output::{Output, bytes};
use crate::remote;
use crate::status::view::Replica;
use crate::status::{Places, gather};

/// A replica makes the copy before it sends the first piece: a second per million messages, as a
/// rule.
const FIRST_PIECE: Duration = Duration::from_secs(300);
/// Later ones come steadily.
const NEXT_PIECE: Duration = Duration::from_secs(20);
/// A piece holds 1 MiB at most.
const MESSAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

pub(crate) async fn run(args: BackupArgs, output: &mut Output) -> anyhow::Result<ExitCode> {
    Draft::require_free(&args.target)?;
    let places = Places::of(&args.place)?;
    let view = gather(&places).await;
    // What was acknowledged before was decided at a leader, and one of these leads.
    let at_least = view.replicas.iter().filter_map(|replica| replica.decided);
    let at_least = at_least.max().unwrap_or(0);
    if view.leader.is_none() {
        output.line("No leader answers: the copy may lack what was acknowledged last.")?;
    }
    let (header, pieces) = first_that_serves(
        &candidates(&view.replicas, args.from.as_deref())?,
        at_least,
        output,
    )
    .await?;
    let manifest = Manifest::from_wire(&header, now_ms())?;
    let mut draft = Draft::begin(&args.target, manifest)?;
    if let Err(error) = receive(&mut draft, pieces).await {
        // The first error is the one to report.
        let _ = draft.discard();
        return Err(error.context("nothing was kept"));
    }
    let backup = tokio::task::spawn_blocking(move || draft.finish()).await??;
    output.line(&words(&backup))?;
    Ok(ExitCode::SUCCESS)
}

/// Milliseconds since 1970, for the names of things: nothing is decided by it.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// The wished replica; else all that take part: first those that do not lead, to keep the load off
/// the leader, and of these the one that has most.
fn candidates<'a>(replicas: &'a [Replica], from: Option<&str>) -> anyhow::Result<Vec<&'a Replica>> {
    if let Some(from) = from {
        let wished = format!("r{}", from.strip_prefix('r').unwrap_or(from));
        let found = replicas.iter().find(|replica| replica.name == wished);
        let found = found.filter(|replica| replica.error.is_none());
        let found = found.with_context(|| format!("{wished} is not there, or does not answer"));
        return Ok(vec![found?]);
    }
    let members = replicas.iter().filter(|replica| replica.decided.is_some());
    let mut members: Vec<&Replica> = members.collect();
    members.sort_by_key(|replica| (replica.role == "leader", Reverse(replica.applied)));
    ensure!(
        !members.is_empty(),
        "no replica answers that takes part; see chatterctl status"
    );
    Ok(members)
}

/// Asks one after the other: one may be behind, or busy with copies for others.
async fn first_that_serves(
    replicas: &[&Replica],
    at_least: u64,
    output: &mut Output,
) -> anyhow::Result<(BackupHeader, Streaming<BackupPiece>)> {
    let mut failed = None;
    for replica in replicas {
        let (name, address) = (&replica.name, &replica.address);
        output.line(&format!(
            "{name} at {address} makes a copy that contains slot {at_least} …"
        ))?;
        match ask(address, at_least).await {
            Ok(found) => return Ok(found),
            Err(error) => {
                let error = error.context(format!("ask {name} for a backup"));
                output.line(&format!("{error:#}"))?;
                failed = Some(error);
            }
        }
    }
    Err(failed.unwrap_or_else(|| anyhow::anyhow!("nobody was asked")))
}

async fn ask(
    address: &str,
    at_least: u64,
) -> anyhow::Result<(BackupHeader, Streaming<BackupPiece>)> {
    let channel = remote::channel(address).await?;
    let mut admin = AdminClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let asked = tokio::time::timeout(FIRST_PIECE, async {
        let mut pieces = admin.backup(BackupRequest { at_least }).await?.into_inner();
        let first = pieces.message().await?;
        Ok((first, pieces))
    });
    let (first, pieces) = asked
        .await
        .context("it made no copy in time")?
        .map_err(remote::words)?;
    match first.and_then(|piece| piece.kind) {
        Some(backup_piece::Kind::Header(header)) => Ok((header, pieces)),
        _ => bail!("it did not say what it sends"),
    }
}

async fn receive(draft: &mut Draft, mut pieces: Streaming<BackupPiece>) -> anyhow::Result<()> {
    loop {
        let piece = tokio::time::timeout(NEXT_PIECE, pieces.message()).await;
        let piece = piece.context("the replica sends nothing any more")?;
        match piece.map_err(remote::words)?.and_then(|piece| piece.kind) {
            Some(backup_piece::Kind::Chunk(chunk)) => draft.append(chunk)?,
            Some(backup_piece::Kind::Header(_)) => bail!("the replica began anew"),
            None => break,
        }
    }
    let (arrived, of) = draft.progress();
    if arrived < of {
        bail!("only {arrived} of {of} bytes arrived");
    }
    Ok(())
}

fn words(backup: &Backup) -> String {
    let manifest = backup.manifest();
    let snapshot = &manifest.snapshot;
    format!(
        "{}: cluster {} ({}), everything up to slot {}, {}; checked",
        backup.directory().display(),
        manifest.cluster_name,
        manifest.cluster_id,
        snapshot.applied.slot.0,
        bytes(snapshot.length)
    )
}
