//! `chatterctl down`: stops the local cluster. The data stays.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::Signal;

use super::keep::{STOP_TIMEOUT, signal};
use super::state::{Lock, Process, State, orphans};
use crate::cli::DataArgs;
use crate::output::Output;

const PAUSE: Duration = Duration::from_millis(20);

pub(crate) async fn run(args: &DataArgs, output: &mut Output) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let Some(state) = State::load(&args.data)? else {
        output.line(&format!("Nothing runs in {}.", args.data.display()))?;
        return Ok(ExitCode::SUCCESS);
    };
    let data = args
        .data
        .canonicalize()
        .context("find the data directory")?;
    if !Lock::is_held(&data)? {
        return stop_orphans(&orphans(&data, &state), output).await;
    }
    let pid = state
        .supervisor
        .context("the supervisor is starting; try again in a moment")?;
    if !signal(pid, Signal::TERM) {
        bail!("cannot signal the supervisor (pid {pid}): it belongs to another user");
    }
    output.line("Stopping …")?;
    // The supervisor waits for the processes, tier by tier.
    let deadline = started + STOP_TIMEOUT * 3 + Duration::from_secs(1);
    while Lock::is_held(&data)? {
        if Instant::now() > deadline {
            bail!("the supervisor (pid {pid}) has not stopped; see logs/supervisor.log");
        }
        tokio::time::sleep(PAUSE).await;
    }
    let taken = started.elapsed().as_secs_f64();
    output.line(&format!(
        "Stopped in {taken:.1} s. The data stays: {}",
        args.data.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn stop_orphans(left: &[Process], output: &mut Output) -> anyhow::Result<ExitCode> {
    if left.is_empty() {
        output.line("Nothing runs.")?;
        return Ok(ExitCode::SUCCESS);
    }
    let pids: Vec<u32> = left.iter().filter_map(|process| process.pid).collect();
    for pid in &pids {
        signal(*pid, Signal::TERM);
        signal(*pid, Signal::CONT);
    }
    let deadline = Instant::now() + STOP_TIMEOUT;
    while pids.iter().any(|pid| signal(*pid, Signal::CONT)) {
        if Instant::now() > deadline {
            bail!("these have not stopped: {pids:?}");
        }
        tokio::time::sleep(PAUSE).await;
    }
    output.line(&format!(
        "Stopped {} processes that had no supervisor.",
        pids.len()
    ))?;
    Ok(ExitCode::SUCCESS)
}
