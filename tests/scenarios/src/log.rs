//! The replicated log as `chatterctl log` prints it, and the comparison of whole logs.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::binary;

/// One decided entry of one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its slot.
    pub slot: u64,
    /// `Batch`, `Noop` …
    pub kind: String,
    /// The ballot under which this replica accepted it; replicas may differ in it.
    pub ballot: String,
    /// The hash of the prefix up to here; equal chains mean equal logs.
    pub chain: String,
    /// How many commands it carries.
    pub commands: u64,
}

/// Reads the whole log of the replica at `address` (host:port) by `chatterctl log`.
///
/// # Errors
/// When the command fails or prints something else than one JSON object per line.
pub fn read(address: &str) -> Result<Vec<LogEntry>> {
    let output = Command::new(binary("chatterctl")?)
        .args(["log", address, "--json"])
        .output()?;
    if !output.status.success() {
        bail!(
            "chatterctl log {address}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let text = String::from_utf8(output.stdout)?;
    text.lines().map(parse).collect()
}

fn parse(line: &str) -> Result<LogEntry> {
    let json: Value = serde_json::from_str(line).with_context(|| format!("line {line:?}"))?;
    let text = |key: &str| -> Result<String> {
        Ok(json[key]
            .as_str()
            .with_context(|| format!("{key} in {line}"))?
            .to_owned())
    };
    let number = |key: &str| -> Result<u64> {
        json[key]
            .as_u64()
            .with_context(|| format!("{key} in {line}"))
    };
    Ok(LogEntry {
        slot: number("slot")?,
        kind: text("kind")?,
        ballot: text("ballot")?,
        chain: text("chain")?,
        commands: number("commands")?,
    })
}

/// The first difference between two logs, in words; `None` when they are equal.
///
/// The ballots are not compared: a replica that caught up may hold a chosen value under
/// another ballot than the one that was there when it was chosen.
pub fn difference(left: &[LogEntry], right: &[LogEntry]) -> Option<String> {
    if left.len() != right.len() {
        return Some(format!("{} entries against {}", left.len(), right.len()));
    }
    left.iter().zip(right).find_map(|(a, b)| {
        let same = (a.slot, &a.kind, &a.chain) == (b.slot, &b.kind, &b.chain);
        (!same).then(|| format!("{a:?} against {b:?}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(slot: u64, ballot: &str, chain: &str) -> LogEntry {
        LogEntry {
            slot,
            kind: "Batch".to_owned(),
            ballot: ballot.to_owned(),
            chain: chain.to_owned(),
            commands: 1,
        }
    }

    /// The comparison sees each way in which logs can differ, and ignores ballots.
    #[test]
    fn a_difference_is_seen() {
        let log = [entry(1024, "1.1@r1", "aa"), entry(1025, "1.1@r1", "bb")];
        assert_eq!(difference(&log, &log), None);
        assert_eq!(
            difference(&log, &[entry(1024, "1.2@r2", "aa"), log[1].clone()]),
            None
        );
        assert!(difference(&log, &log[..1]).is_some());
        assert!(difference(&log, &[log[0].clone(), entry(1025, "1.1@r1", "cc")]).is_some());
        assert!(difference(&log, &[log[0].clone(), entry(1026, "1.1@r1", "bb")]).is_some());
    }
}
