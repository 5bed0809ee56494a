//! Child processes with a limit of time and memory: a planted fault may loop or grow for ever.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::limits::MEMORY_KIB;

/// How a process ended, and what it said.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// Whether with exit status 0.
    pub(crate) success: bool,
    /// Its standard output, then its standard error.
    pub(crate) text: String,
}

/// Runs a command to its end.
pub(crate) fn told(command: &mut Command) -> Result<Ended> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("run {program}"))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    let success = output.status.success();
    Ok(Ended { success, text })
}

/// Runs a command with limits. `None` if its time was over.
pub(crate) fn told_within(command: &Command, limit: Duration) -> Result<Option<Ended>> {
    let mut limited = Command::new("sh");
    limited
        .arg("-c")
        .arg(format!("ulimit -v {MEMORY_KIB} && exec \"$@\""))
        .arg("sh");
    limited.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    limited.envs(
        command
            .get_envs()
            .filter_map(|(key, value)| Some((key, value?))),
    );
    limited
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = limited.spawn().context("run sh")?;
    let texts = [listen(child.stdout.take()), listen(child.stderr.take())];
    let mut text = String::new();
    for part in texts {
        match part.recv_timeout(limit) {
            Ok(said) => text.push_str(&said),
            Err(_) => return end(child).map(|()| None),
        }
    }
    let success = child.wait()?.success();
    Ok(Some(Ended { success, text }))
}

fn end(mut child: Child) -> Result<()> {
    child.kill().context("end what loops for ever")?;
    child.wait()?;
    Ok(())
}

/// Reads all that a process says, in a thread of its own: neither of two pipes may fill up.
fn listen(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error still says what happened.
            drop(pipe.read_to_end(&mut bytes));
        }
        drop(tell.send(String::from_utf8_lossy(&bytes).into_owned()));
    });
    told
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::told_within;

    #[test]
    fn what_loops_is_ended_and_what_ends_is_heard() {
        let mut endless = Command::new("sh");
        endless.args(["-c", "while :; do :; done"]);
        assert!(
            told_within(&endless, Duration::from_millis(200))
                .unwrap()
                .is_none()
        );
        let mut short = Command::new("sh");
        short.args(["-c", "echo out; echo err >&2; exit 3"]);
        let ended = told_within(&short, Duration::from_secs(60))
            .unwrap()
            .unwrap();
        assert!(!ended.success);
        assert_eq!(ended.text, "out\nerr\n");
    }
}
