//! Keeps one process running: starts it, starts it again when it ends, stops it when asked.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use ops::shutdown::Token;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::plan::Spec;
use super::state::State;

/// First pause before a restart; a fault that comes back at once must not take a whole core.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Whoever lived this long has recovered from what ended it before.
const RECOVERED: Duration = Duration::from_secs(10);

/// How long a process may take to stop by itself.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause before a restart.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    pause: Option<Duration>,
}

impl Backoff {
    /// After a process that lived for `lived`: doubles, until one lives for long.
    pub(crate) fn after(&mut self, lived: Duration) -> Duration {
        let pause = match self.pause {
            Some(pause) if lived < RECOVERED => (pause * 2).min(PAUSE_MAX),
            _ => PAUSE_MIN,
        };
        self.pause = Some(pause);
        pause
    }
}

/// `cluster.json`, shared by the tasks that keep the processes.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    state: Arc<Mutex<State>>,
    data: PathBuf,
}

impl Board {
    pub(crate) fn new(state: State, data: PathBuf) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
            data,
        }
    }

    /// Changes it and writes it down. A failure to write is said, and the processes go on.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        if let Err(error) = state.save(&self.data) {
            tracing::warn!(error = format!("{error:#}"), "cannot write the state");
        }
    }

    fn note(&self, name: &str, pid: Option<u32>, restarted: bool) {
        self.change(|state| {
            for process in state
                .processes
                .iter_mut()
                .filter(|process| process.name == name)
            {
                process.pid = pid;
                process.restarts += u32::from(restarted);
            }
        });
    }
}

/// Keeps it running until `shutdown`, then stops it.
pub(crate) async fn keep(spec: Spec, board: Board, shutdown: Token) {
    let name = &spec.name;
    let mut backoff = Backoff::default();
    let mut restarted = false;
    loop {
        let started = Instant::now();
        match start(&spec) {
            Ok(mut child) => {
                tracing::info!(name, pid = child.id(), restarted, "started");
                board.note(name, child.id(), restarted);
                let ended = shutdown.run_until_cancelled(child.wait()).await;
                if ended.is_none() {
                    stop(name, &mut child).await;
                    board.note(name, None, false);
                    return;
                }
                board.note(name, None, false);
                let status = child.wait().await.map(|status| status.to_string());
                tracing::warn!(name, status = status.unwrap_or_default(), "ended by itself");
            }
            Err(error) => tracing::error!(name, error = format!("{error:#}"), "cannot start"),
        }
        restarted = true;
        let pause = sleep(backoff.after(started.elapsed()));
        if shutdown.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

fn start(spec: &Spec) -> anyhow::Result<Child> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(&spec.log)
        .with_context(|| format!("open {}", spec.log.display()))?;
    let errors = log.try_clone().context("share the log")?;
    Command::new(&spec.program)
        .args(&spec.args)
        .envs(spec.env.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        // A group of its own: Ctrl+C in a terminal reaches the supervisor alone, which then
        // stops the processes in the right order.
        .process_group(0)
        .spawn()
        .with_context(|| format!("start {}", spec.program.display()))
}

async fn stop(name: &str, child: &mut Child) {
    let Some(pid) = child.id() else { return };
    signal(pid, Signal::TERM);
    // One that was paused cannot hear the first signal before it goes on.
    signal(pid, Signal::CONT);
    match timeout(STOP_TIMEOUT, child.wait()).await {
        Ok(_) => tracing::info!(name, "stopped"),
        Err(_) => {
            tracing::warn!(name, "has not stopped in time: killed");
            let _ = child.kill().await;
        }
    }
}

/// Sends a signal; whether it arrived.
pub(crate) fn signal(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::local::plan::{Kind, Plan};

    fn sh(data: &Path, script: &str) -> Spec {
        Spec {
            name: "r1".to_owned(),
            kind: Kind::Replica,
            program: PathBuf::from("/bin/sh"),
            args: vec!["-c".to_owned(), script.to_owned()],
            env: vec![("WHO".to_owned(), "r1".to_owned())],
            log: data.join("r1.log"),
        }
    }

    fn board(data: &Path) -> Board {
        let state = State::new(Plan::new(None, None, None, None, None));
        Board::new(state, data.to_owned())
    }

    async fn until(what: &str, mut reached: impl FnMut() -> bool) {
        for _ in 0..500 {
            if reached() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}");
    }

    fn process(data: &Path) -> Option<crate::local::state::Process> {
        let state = State::load(data).ok().flatten()?;
        state.process("r1").ok().cloned()
    }

    #[test]
    fn the_pause_doubles_until_one_lives_long() {
        let mut backoff = Backoff::default();
        let short = Duration::from_millis(1);
        let pauses: Vec<u128> = (0..8).map(|_| backoff.after(short).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.after(RECOVERED), PAUSE_MIN);
    }

    #[tokio::test]
    async fn a_killed_process_is_started_again_and_stopped_when_asked() {
        let directory = tempfile::tempdir().expect("directory");
        let data = directory.path();
        let shutdown = Token::new();
        let spec = sh(data, "echo \"$WHO runs\"; exec sleep 600");
        let kept = tokio::spawn(keep(spec, board(data), shutdown.clone()));
        until("started", || process(data).is_some_and(|p| p.pid.is_some())).await;
        let first = process(data).and_then(|p| p.pid).expect("runs");
        assert!(signal(first, Signal::KILL));
        until("restarted", || {
            process(data).is_some_and(|p| p.restarts == 1 && p.pid.is_some_and(|p| p != first))
        })
        .await;
        let second = process(data).and_then(|p| p.pid).expect("runs");
        until("both have written", || {
            std::fs::read_to_string(data.join("r1.log")).is_ok_and(|log| log.lines().count() == 2)
        })
        .await;
        shutdown.cancel();
        kept.await.expect("ends");
        assert!(!signal(second, Signal::CONT), "it has gone");
        assert_eq!(process(data).expect("state").pid, None);
    }

    #[tokio::test]
    async fn a_paused_process_stops_too() {
        let directory = tempfile::tempdir().expect("directory");
        let data = directory.path();
        let shutdown = Token::new();
        let kept = tokio::spawn(keep(
            sh(data, "exec sleep 600"),
            board(data),
            shutdown.clone(),
        ));
        until("started", || process(data).is_some_and(|p| p.pid.is_some())).await;
        let pid = process(data).and_then(|p| p.pid).expect("runs");
        assert!(signal(pid, Signal::STOP));
        shutdown.cancel();
        timeout(Duration::from_secs(5), kept)
            .await
            .expect("soon")
            .expect("ends");
    }

    #[tokio::test]
    async fn a_program_that_is_missing_is_tried_again() {
        let directory = tempfile::tempdir().expect("directory");
        let mut spec = sh(directory.path(), "");
        spec.program = PathBuf::from("/nowhere/replica");
        let shutdown = Token::new();
        let kept = tokio::spawn(keep(spec, board(directory.path()), shutdown.clone()));
        sleep(Duration::from_millis(250)).await;
        assert!(!kept.is_finished());
        shutdown.cancel();
        kept.await.expect("ends");
    }
}
