//! One child process: started from a binary of the workspace, stopped for certain.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How to start a process again with the same settings.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Name in logs, and of its log file.
    pub name: String,
    /// Which binary of the workspace.
    pub binary: &'static str,
    /// Its environment on top of ours.
    pub env: Vec<(String, String)>,
    /// Where its output goes.
    pub log: PathBuf,
}

/// A child process. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    spec: Spec,
    /// The folder of programs of another version; `None`: those of the workspace.
    programs: Option<PathBuf>,
    child: Option<Child>,
}

/// The path of a binary of the workspace.
///
/// # Errors
/// When it has not been built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    // A test lies in target/PROFILE/deps, a program of this crate beside the others.
    let places = own.ancestors().skip(1).take(2);
    let beside = own.with_file_name(name);
    let path = places
        .map(|place| place.join(name))
        .find(|path| path.exists())
        .unwrap_or(beside);
    if !path.exists() {
        bail!(
            "{} is missing: run `cargo build --workspace --features replica/failpoints` first",
            path.display()
        );
    }
    Ok(path)
}

/// Runs `chatterctl`: what it said, and whether it succeeded.
///
/// # Errors
/// When it cannot be run.
pub async fn chatterctl(args: &[&str]) -> Result<(String, bool)> {
    let mut command = tokio::process::Command::new(binary("chatterctl")?);
    let output = command.args(args).stdin(Stdio::null()).output().await?;
    let said = [output.stdout, output.stderr].concat();
    Ok((
        String::from_utf8_lossy(&said).into_owned(),
        output.status.success(),
    ))
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// When the binary is missing or cannot be started.
    pub fn start(spec: Spec) -> Result<Self> {
        Self::start_of(None, spec)
    }

    /// Starts the program of that name in a folder, that of another version.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_of(programs: Option<&Path>, spec: Spec) -> Result<Self> {
        let programs = programs.map(Path::to_owned);
        let mut process = Self {
            spec,
            programs,
            child: None,
        };
        process.restart()?;
        Ok(process)
    }

    /// Starts it again, with the same settings, after it has ended.
    ///
    /// # Errors
    /// When it still runs, or cannot be started.
    pub fn restart(&mut self) -> Result<()> {
        if self.is_running() {
            bail!("{} still runs", self.spec.name);
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.spec.log)?;
        let program = match &self.programs {
            Some(folder) => folder.join(self.spec.binary),
            None => binary(self.spec.binary)?,
        };
        let child = Command::new(program)
            .envs(self.spec.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", self.spec.name))?;
        self.child = Some(child);
        Ok(())
    }

    /// Adds or replaces a variable for the next start.
    pub fn set_env(&mut self, key: &str, value: &str) {
        self.spec.env.retain(|(present, _)| present != key);
        self.spec.env.push((key.to_owned(), value.to_owned()));
    }

    /// From the next start on it is the program of the workspace.
    pub fn use_workspace(&mut self) {
        self.programs = None;
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Its process id while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // An error means that it has ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// When it does not end within the time.
    pub fn stop(&mut self, within: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait_exit(within)
    }

    /// Stops it in the middle of whatever it does (SIGSTOP), as a long pause of a machine would.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// When it still runs after the time.
    pub fn wait_exit(&mut self, within: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + within;
        let name = self.spec.name.clone();
        let child = self
            .child
            .as_mut()
            .with_context(|| format!("{name} was not started"))?;
        loop {
            if let Some(status) = child.try_wait()? {
                self.child = None;
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("{name} still runs after {within:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Everything that it has printed.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.spec.log).unwrap_or_default()
    }

    /// Its log file.
    pub fn log_path(&self) -> &Path {
        &self.spec.log
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = self
            .id()
            .with_context(|| format!("{} does not run", self.spec.name))?;
        let pid = Pid::from_raw(i32::try_from(id)?).context("a process id is positive")?;
        kill_process(pid, signal).with_context(|| format!("signal {}", self.spec.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
