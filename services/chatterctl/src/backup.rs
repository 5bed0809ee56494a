//! `chatterctl backup`: a copy of the state of a running cluster, made by one replica while load
//! goes on, checked and durable when the command ends.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use archive::{Backup, Draft, Manifest};
use proto::v1::admin_client::AdminClient;
use proto::v1::{BackupPiece, BackupRequest, backup_piece};
use tonic::Streaming;

use crate::cli::BackupArgs;
use crate::output::{Output, bytes};
use crate::remote;
use crate::status::view::Replica;
use crate::status::{gather, places};

/// A replica makes the copy before it sends the first piece: a second per million messages, as a
/// rule.
const FIRST_PIECE: Duration = Duration::from_secs(300);
/// Later ones come steadily.
const NEXT_PIECE: Duration = Duration::from_secs(20);
/// A piece holds 1 MiB at most.
const MESSAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

pub(crate) async fn run(args: BackupArgs, output: &mut Output) -> anyhow::Result<ExitCode> {
    Draft::require_free(&args.target)?;
    let place = &args.place;
    let places = places(
        &place.data.data,
        place.membership.as_deref(),
        &place.replica,
    )?;
    let view = gather(&places).await;
    // What was acknowledged before was decided at a leader, and one of these leads.
    let at_least = view.replicas.iter().filter_map(|replica| replica.decided);
    let at_least = at_least.max().unwrap_or(0);
    let replica = choose(&view.replicas, args.from.as_deref())?;
    output.line(&format!(
        "{} at {} makes a copy that contains slot {at_least} …",
        replica.name, replica.address
    ))?;
    let channel = remote::channel(&replica.address).await?;
    let mut admin = AdminClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let asked = tokio::time::timeout(FIRST_PIECE, async {
        let mut pieces = admin.backup(BackupRequest { at_least }).await?.into_inner();
        let first = pieces.message().await?;
        Ok((first, pieces))
    });
    let (first, pieces) = asked
        .await
        .with_context(|| format!("{} made no copy in time", replica.name))?
        .map_err(remote::words)
        .with_context(|| format!("ask {} for a backup", replica.name))?;
    let Some(backup_piece::Kind::Header(header)) = first.and_then(|piece| piece.kind) else {
        bail!("{} did not say what it sends", replica.name);
    };
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

/// The wished replica; else one that keeps the load off the leader, and has most.
fn choose<'a>(replicas: &'a [Replica], from: Option<&str>) -> anyhow::Result<&'a Replica> {
    if let Some(from) = from {
        let wished = format!("r{}", from.strip_prefix('r').unwrap_or(from));
        let found = replicas.iter().find(|replica| replica.name == wished);
        let found = found.filter(|replica| replica.error.is_none());
        return found.with_context(|| format!("{wished} is not there, or does not answer"));
    }
    let members = replicas.iter().filter(|replica| replica.decided.is_some());
    let best = members.max_by_key(|replica| (replica.role != "leader", replica.applied));
    best.context("no replica answers that takes part; see chatterctl status")
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
