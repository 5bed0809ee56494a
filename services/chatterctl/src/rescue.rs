//! `chatterctl rescue`: when a majority of the voters is gone for good, a new cluster from what
//! one survivor holds. Says what may be lost, has a sentence typed, leaves a note beside the
//! survivor's data. The survivor's data stays as it is.

use std::fs;
use std::io::BufRead;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use archive::{Report, Survivor};
use futures_util::future::join_all;
use serde_json::json;

use crate::backup::now_ms;
use crate::cli::RescueArgs;
use crate::new_cluster::{Before, NewCluster, audit};
use crate::output::{Output, duration};
use crate::remote;

/// How long a voter may take to accept a connection.
const LISTENS_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Whether a voter answers for the lost cluster.
struct Asked {
    node: u64,
    address: String,
    /// Itself, an answer, or why there is none.
    words: String,
    lives: bool,
}

pub(crate) async fn run(
    args: RescueArgs,
    input: &mut impl BufRead,
    output: &mut Output,
) -> anyhow::Result<ExitCode> {
    let survivor = Survivor::open(&args.directory)?;
    let report = survivor.report();
    let before = Before {
        cluster_name: &report.cluster_name,
        shard: report.shard,
        client_epoch: report.client_epoch,
    };
    let new = NewCluster::new(&args.new, &before)?;
    let asked = ask_others(report).await;
    output.line(&words(report, &asked))?;
    let alive = asked.iter().filter(|voter| voter.lives).count();
    if alive * 2 > asked.len() {
        bail!(
            "{alive} of {} voters answer, and they are a majority: nothing is to be rescued; if \
             they cannot agree, see chatterctl status",
            asked.len()
        );
    }
    let wanted = sentence(report);
    let typed = match args.i_accept {
        Some(typed) => typed,
        None => {
            output.line("To go on, type this sentence:")?;
            output.ask(&format!("  {wanted}\n> "))?;
            let mut typed = String::new();
            input.read_line(&mut typed).context("read the answer")?;
            typed
        }
    };
    if typed.trim() != wanted {
        output.line(&format!("Nothing was made. The sentence is: {wanted}"))?;
        return Ok(ExitCode::FAILURE);
    }
    let source = json!({
        "survivor": report,
        "voters": asked.iter().map(|voter| json!({
            "node": voter.node, "address": voter.address, "answer": voter.words,
        })).collect::<Vec<_>>(),
    });
    let audit = audit("rescue", source, Some(wanted));
    let note = args
        .directory
        .join(format!("rescue-{}.json", audit.made_ms));
    // Before anything is made: whoever finds a new cluster finds out where it is from.
    audit.write(&note)?;
    let scratch = scratch(&new)?;
    let source = survivor.carry_over(&scratch)?;
    new.make(&source, &audit, output)?;
    fs::remove_dir_all(&scratch).with_context(|| format!("remove {}", scratch.display()))?;
    output.line(&format!(
        "What was done is in {} and beside the new data.\nDo not start {} again.",
        note.display(),
        args.directory.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// A directory beside the first voter's, on whose disk there must be room anyway.
fn scratch(new: &NewCluster) -> anyhow::Result<PathBuf> {
    let first = new.plan.seats.first().context("a cluster has a voter")?;
    let mut name = first.directory.as_os_str().to_owned();
    name.push(".rescue");
    let scratch = PathBuf::from(name);
    if scratch.exists() {
        bail!(
            "{} is left over from another rescue: delete it",
            scratch.display()
        );
    }
    Ok(scratch)
}

/// The voters, by their last known addresses. One that another process answers for, say a
/// replica that lost its disk, is not alive.
async fn ask_others(report: &Report) -> Vec<Asked> {
    let asked = report.voters.iter().map(|voter| async move {
        let (words, lives) = if voter.node == report.node {
            ("this one".to_owned(), true)
        } else if voter.address.is_empty() {
            ("its address is not known".to_owned(), false)
        } else {
            match remote::status(&voter.address).await {
                Ok(status)
                    if status.cluster_id == report.cluster_id.to_string()
                        && status.node == voter.node =>
                {
                    (format!("answers; decided {}", status.decided), true)
                }
                Ok(_) => ("another replica answers at its address".to_owned(), false),
                // Somebody takes connections there and does not speak as we do: for example a
                // replica with TLS, asked without a certificate. It must not count as dead.
                Err(error) if listens(&voter.address).await => (
                    format!("lives, but does not say how it is ({error:#}); see --tls"),
                    true,
                ),
                Err(error) => (format!("{error:#}"), false),
            }
        };
        Asked {
            node: voter.node,
            address: voter.address.clone(),
            words,
            lives,
        }
    });
    join_all(asked).await
}

async fn listens(address: &str) -> bool {
    let connecting = tokio::net::TcpStream::connect(address);
    let connected = tokio::time::timeout(LISTENS_WITHIN, connecting).await;
    matches!(connected, Ok(Ok(_)))
}

/// What must be typed.
fn sentence(report: &Report) -> String {
    format!(
        "I accept that messages of {} may be lost",
        report.cluster_name
    )
}

fn words(report: &Report, asked: &[Asked]) -> String {
    let mut lines = vec![
        format!(
            "r{} of cluster {} ({}), epoch {}",
            report.node, report.cluster_name, report.cluster_id, report.epoch
        ),
        "Its voters:".to_owned(),
    ];
    for voter in asked {
        let Asked {
            node,
            address,
            words,
            ..
        } = voter;
        lines.push(format!("  r{node}  {address}  {words}"));
    }
    if asked.iter().all(|voter| voter.node != report.node) {
        lines.push(format!(
            "r{} does not vote: a voter that is left may hold more.",
            report.node
        ));
    }
    let age = now_ms().saturating_sub(report.last_row_ms);
    lines.push(format!(
        "Known to be decided here: everything up to slot {}.\n\
         Taken as well: {} rows up to slot {}, accepted here; whether they were decided nobody \
         alive knows.\n\
         Left out: {} rows that do not follow those.\n\
         The last row is {} old. The highest ballot promised is {}.",
        report.decided,
        report.undecided_taken,
        report.taken_upto,
        report.left_out,
        duration(age),
        report.promised
    ));
    lines.push(
        "WHAT MAY BE LOST: every message that was acknowledged by a majority without this \
         replica, and so does not stand in these rows. If other voters are left, look at each of \
         them first, and rescue the one with the highest slot. Voters that come back later must \
         not be started: they would be another cluster, with another history."
            .to_owned(),
    );
    lines.join("\n")
}
