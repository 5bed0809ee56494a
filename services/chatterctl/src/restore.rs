//! `chatterctl restore`: the data of a new cluster, from a backup. Offline: it talks to nobody.

use std::process::ExitCode;

use anyhow::Context;
use archive::Backup;
use serde_json::json;

use crate::cli::RestoreArgs;
use crate::new_cluster::{Before, NewCluster, audit};
use crate::output::Output;

pub(crate) fn run(args: &RestoreArgs, output: &mut Output) -> anyhow::Result<ExitCode> {
    let backup = Backup::open(&args.backup)?;
    let manifest = backup.manifest();
    let before = Before {
        cluster_name: &manifest.cluster_name,
        shard: manifest.shard,
        client_epoch: manifest.client_epoch,
    };
    let new = NewCluster::new(&args.new, &before)?;
    backup.check().context("the backup is damaged")?;
    let source = json!({
        "backup": backup.directory(),
        "cluster_id": manifest.cluster_id,
        "cluster_name": manifest.cluster_name,
        "client_epoch": manifest.client_epoch,
        "backup_made_ms": manifest.made_ms,
        "slot": manifest.snapshot.applied.slot.0,
    });
    new.make(&backup.source(), &audit("restore", source, None), output)?;
    Ok(ExitCode::SUCCESS)
}
