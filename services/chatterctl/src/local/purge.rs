//! `chatterctl purge`: deletes the data of the local cluster, after asking.

use std::fs;
use std::io::BufRead;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::plan::certificates;
use super::state::{Lock, State, orphans};
use crate::cli::PurgeArgs;
use crate::output::Output;

/// What must be typed: a `y` is typed too easily.
const WORD: &str = "delete";

pub(crate) fn run(
    args: &PurgeArgs,
    input: &mut impl BufRead,
    output: &mut Output,
) -> anyhow::Result<ExitCode> {
    let directory = &args.data.data;
    let Some(state) = State::load(directory)? else {
        if directory.exists() {
            // A mistyped --data must not delete somebody's files.
            bail!(
                "{} holds no cluster.json: it is not ours to delete",
                directory.display()
            );
        }
        output.line(&format!("There is nothing in {}.", directory.display()))?;
        return Ok(ExitCode::SUCCESS);
    };
    let data = directory
        .canonicalize()
        .context("find the data directory")?;
    if Lock::is_held(&data)? || !orphans(&data, &state).is_empty() {
        bail!("the cluster runs: stop it first with `chatterctl down`");
    }
    if !args.yes {
        output.line(&format!(
            "This deletes every message and account of the cluster in {}.",
            data.display()
        ))?;
        output.ask(&format!("Type \"{WORD}\" to go on: "))?;
        let mut answer = String::new();
        input.read_line(&mut answer).context("read the answer")?;
        if answer.trim() != WORD {
            output.line("Nothing was deleted.")?;
            return Ok(ExitCode::FAILURE);
        }
    }
    // cluster.json goes last: when this is interrupted, it can be repeated.
    for process in &state.processes {
        remove(&data.join(&process.name))?;
    }
    remove(&data.join("logs"))?;
    remove(&certificates(&data))?;
    for file in ["supervisor.lock", "cluster.json.new", "cluster.json"] {
        let _ = fs::remove_file(data.join(file));
    }
    // What is left is not ours.
    let _ = fs::remove_dir(&data);
    output.line("Deleted.")?;
    Ok(ExitCode::SUCCESS)
}

fn remove(directory: &std::path::Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("delete {}", directory.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::ExitCode;

    use super::{PurgeArgs, State, fs, run};
    use crate::cli::DataArgs;
    use crate::local::plan::Plan;
    use crate::local::state::Lock;
    use crate::output::Output;

    fn purge(data: &Path, yes: bool, answer: &str) -> anyhow::Result<ExitCode> {
        let args = PurgeArgs {
            data: DataArgs {
                data: data.to_owned(),
            },
            yes,
        };
        run(
            &args,
            &mut answer.as_bytes(),
            &mut Output::to(std::io::sink()),
        )
    }

    fn cluster(data: &Path) {
        fs::create_dir_all(data.join("r1")).expect("directory");
        fs::write(data.join("r1/log.db"), "precious").expect("write");
        State::new(Plan::new(None, None, None, None, None))
            .save(data)
            .expect("save");
    }

    #[test]
    fn asks_for_the_word() {
        let directory = tempfile::tempdir().expect("directory");
        let data = directory.path().join("data");
        cluster(&data);
        for answer in ["", "y\n", "yes\n", "DELETE\n"] {
            purge(&data, false, answer).expect("asked");
            assert!(data.join("r1/log.db").exists(), "{answer:?}");
        }
        purge(&data, false, "delete\n").expect("deleted");
        assert!(!data.exists());
        cluster(&data);
        purge(&data, true, "").expect("deleted without asking");
        assert!(!data.exists());
    }

    #[test]
    fn deletes_neither_what_runs_nor_what_is_not_ours() {
        let directory = tempfile::tempdir().expect("directory");
        let data = directory.path();
        fs::write(data.join("thesis.txt"), "precious").expect("write");
        assert!(purge(data, true, "").is_err(), "no cluster.json");
        cluster(data);
        let lock = Lock::take(data).expect("take").expect("free");
        assert!(purge(data, true, "").is_err(), "it runs");
        drop(lock);
        purge(data, true, "").expect("deleted");
        assert!(data.join("thesis.txt").exists() && !data.join("r1").exists());
    }
}
