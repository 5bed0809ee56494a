//! `chatterctl verify`: whether all replicas hold the same log and the same state.
//!
//! Every replica hashes its state right after one slot, the same for all, while load goes on; the
//! chain at that slot is a hash of the whole log before it. So each reads its state once and one
//! row of its log. The verdict is in `judge.rs`.

mod judge;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::join_all;
use proto::v1::admin_client::AdminClient;
use proto::v1::get_status_response::Phase;
use proto::v1::{HashStateRequest, ReadLogRequest};
use tonic::Code;

use self::judge::{Compared, Line, Verdict};
use crate::cli::WhereArgs;
use crate::output::{Output, table};
use crate::remote;
use crate::status::{Places, gather};

/// How often another slot is chosen because the first ones were passed or did not come.
const ATTEMPTS: u32 = 8;
/// How long a look at the speed of the log takes.
const LOOK: Duration = Duration::from_millis(250);
/// A slot that is so far ahead of the log, in time, is not passed before all are asked.
const AHEAD: u64 = 3;
/// A hash takes about a second per million messages.
const HASH_TIMEOUT: Duration = Duration::from_secs(600);
/// A row of the log is 256 KiB of commands at most, and what belongs to it.
const ROW_BYTES_MAX: usize = 1024 * 1024;

/// A replica that takes part.
struct Member {
    name: String,
    address: String,
    compacted_to: u64,
}

/// How one attempt ended at one replica.
enum Hashed {
    Done(Compared),
    /// Another slot may do.
    Again(String),
    Failed(String),
}

pub(crate) async fn run(args: WhereArgs, output: &mut Output) -> anyhow::Result<ExitCode> {
    let places = Places::of(&args)?;
    let view = gather(&places).await;
    let (mut members, mut lines) = (Vec::new(), Vec::new());
    for replica in &view.replicas {
        let (name, address) = (replica.name.clone(), replica.address.clone());
        let absent = |why: String| Line::absent(&replica.name, &replica.address, why);
        match remote::status(&address).await {
            _ if replica.error.is_some() => {
                lines.push(absent(replica.error.clone().unwrap_or_default()));
            }
            Err(error) => lines.push(absent(format!("{error:#}"))),
            Ok(status) if status.cluster_id != view.cluster_id => {
                lines.push(absent("is of another cluster".to_owned()));
            }
            Ok(status) if status.phase() == Phase::Member => members.push(Member {
                name,
                address,
                compacted_to: status.compacted_to,
            }),
            Ok(status) => {
                let role = replica.role.as_str();
                lines.push(absent(format!("{role}: {}", status.why)));
            }
        }
    }
    for name in &view.voter_names {
        if !view.replicas.iter().any(|replica| replica.name == *name) {
            let why = "votes, but nobody knows where it is".to_owned();
            lines.push(Line::absent(name, "", why));
        }
    }
    let (slot, hashed) = hash_all(&members).await?;
    let mut compared = Vec::new();
    for (member, hashed) in members.iter().zip(hashed) {
        match hashed {
            Hashed::Done(found) => compared.push(found),
            Hashed::Again(why) | Hashed::Failed(why) => {
                lines.push(Line::absent(&member.name, &member.address, why));
            }
        }
    }
    let mut verdict = Verdict::of(compared);
    find_first_difference(&members, slot, &mut verdict).await;
    say(slot, &verdict, lines, output)
}

/// All hash their state at one slot. Under load it must be one that is still to come.
async fn hash_all(members: &[Member]) -> anyhow::Result<(u64, Vec<Hashed>)> {
    let mut attempt = 0;
    loop {
        let before = highest(members).await?;
        // An idle cluster stands at the same slot everywhere; the first attempt assumes that.
        let slot = if attempt == 0 {
            before
        } else {
            tokio::time::sleep(LOOK).await;
            let now = highest(members).await?;
            now + (now - before) * AHEAD * u64::from(attempt)
        };
        let hashed = join_all(members.iter().map(|member| hash(member, slot))).await;
        attempt += 1;
        let again = hashed.iter().any(|one| matches!(one, Hashed::Again(_)));
        if !again || attempt == ATTEMPTS {
            return Ok((slot, hashed));
        }
    }
}

/// The highest slot that any of them has applied.
async fn highest(members: &[Member]) -> anyhow::Result<u64> {
    let asked = members.iter().map(|member| remote::status(&member.address));
    let applied = join_all(asked).await.into_iter().flatten();
    applied
        .map(|status| status.applied)
        .max()
        .context("no replica answers that takes part; see chatterctl status")
}

async fn hash(member: &Member, slot: u64) -> Hashed {
    let asked = async {
        let channel = remote::channel(&member.address).await?;
        let mut admin = AdminClient::new(channel).max_decoding_message_size(ROW_BYTES_MAX);
        let answer = admin.hash_state(HashStateRequest { slot });
        let found = match tokio::time::timeout(HASH_TIMEOUT, answer).await {
            Ok(Ok(found)) => found.into_inner(),
            Ok(Err(status)) => {
                let again = matches!(
                    status.code(),
                    Code::OutOfRange | Code::Unavailable | Code::ResourceExhausted
                );
                let words = format!("{:#}", remote::words(status));
                return Ok(if again {
                    Hashed::Again(words)
                } else {
                    Hashed::Failed(words)
                });
            }
            Err(_) => return Ok(Hashed::Failed("made no hash in time".to_owned())),
        };
        let row = chain_at(&mut admin, slot).await;
        anyhow::Ok(Hashed::Done(Compared {
            name: member.name.clone(),
            address: member.address.clone(),
            chain: found.chain,
            state: found.hash,
            row: row.map_err(|error| format!("{error:#}")),
            differs_from: None,
        }))
    };
    asked
        .await
        .unwrap_or_else(|error| Hashed::Failed(format!("{error:#}")))
}

type Admin = AdminClient<tonic::transport::Channel>;

/// The chain in one row of a log; `None` when the row is compacted away.
async fn chain_at(admin: &mut Admin, slot: u64) -> anyhow::Result<Option<Vec<u8>>> {
    let request = ReadLogRequest {
        from: slot,
        upto: slot,
    };
    let read = async {
        let mut rows = admin.read_log(request).await?.into_inner();
        rows.message().await
    };
    match read.await {
        Ok(row) => Ok(row.and_then(|row| row.entry).map(|entry| entry.chain)),
        Err(status) if status.code() == Code::OutOfRange => Ok(None),
        Err(status) => Err(remote::words(status)),
    }
}

/// For each log that differs: from which slot on. Equal chains mean equal logs before them, so
/// halving finds it in a few reads of one row each.
async fn find_first_difference(members: &[Member], slot: u64, verdict: &mut Verdict) {
    let Some(reference) = verdict.reference_name() else {
        return;
    };
    let place = |name: &str| members.iter().find(|member| member.name == name);
    let Some(right) = place(&reference) else {
        return;
    };
    for wrong in verdict.with_other_logs() {
        let Some(other) = place(&wrong.name) else {
            continue;
        };
        let first = right.compacted_to.max(other.compacted_to) + 1;
        wrong.differs_from = halve(right, other, first, slot).await.ok();
    }
}

/// The first slot in `[low, high]` at which the chains differ; they do at `high`.
async fn halve(right: &Member, other: &Member, mut low: u64, mut high: u64) -> anyhow::Result<u64> {
    let mut right = AdminClient::new(remote::channel(&right.address).await?);
    let mut other = AdminClient::new(remote::channel(&other.address).await?);
    while low < high {
        let middle = low + (high - low) / 2;
        if chain_at(&mut right, middle).await? == chain_at(&mut other, middle).await? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

fn say(
    slot: u64,
    verdict: &Verdict,
    absent: Vec<Line>,
    output: &mut Output,
) -> anyhow::Result<ExitCode> {
    let mut lines = verdict.lines();
    lines.extend(absent);
    lines.sort_by(|a, b| a.name.cmp(&b.name));
    let rows: Vec<Vec<String>> = lines.into_iter().map(Line::cells).collect();
    output.line(&format!("at slot {slot}\n"))?;
    let head = ["NODE", "ADDRESS", "LOG", "STATE", "RESULT"];
    output.line(&table(&head, &rows, &[]))?;
    output.line(&format!("\n{}", verdict.words()))?;
    Ok(if verdict.is_equal() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
