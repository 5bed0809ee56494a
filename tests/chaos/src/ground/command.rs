//! Commands of an engine or a cluster, as a person would type them.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Runs a command to its end and answers what it printed.
///
/// # Errors
/// When it cannot be run, or fails: with what it said.
pub(super) async fn run(program: &str, args: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("run {program}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let words = args.join(" ");
    ensure!(
        output.status.success(),
        "{program} {words}: {}",
        errors.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
