//! `chatterctl kill`, `pause`, `resume`: what machines do to processes, by hand.

use std::process::ExitCode;

use anyhow::{Context, bail};
use rustix::process::Signal;

use super::keep::signal;
use super::state::{Lock, State};
use crate::cli::NameArgs;
use crate::output::Output;

/// What is to happen to the process.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wish {
    Kill,
    Pause,
    Resume,
}

pub(crate) fn run(args: &NameArgs, wish: Wish, output: &mut Output) -> anyhow::Result<ExitCode> {
    let data = &args.data.data;
    let state = State::load(data)?
        .with_context(|| format!("there is no local cluster in {}", data.display()))?;
    if !Lock::is_held(data)? {
        bail!(
            "the local cluster in {} does not run: chatterctl up",
            data.display()
        );
    }
    let process = state.process(&args.name)?;
    let name = &process.name;
    let pid = process
        .pid
        .with_context(|| format!("{name} is not running right now"))?;
    let (sent, words) = match wish {
        Wish::Kill => (Signal::KILL, "killed {}: the supervisor starts it again"),
        Wish::Pause => (Signal::STOP, "paused {}: `chatterctl resume` lets it go on"),
        Wish::Resume => (Signal::CONT, "{} goes on"),
    };
    if !signal(pid, sent) {
        bail!("{name} (pid {pid}) has just ended");
    }
    output.line(&words.replace("{}", &format!("{name} (pid {pid})")))?;
    Ok(ExitCode::SUCCESS)
}
