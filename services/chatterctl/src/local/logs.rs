//! `chatterctl logs`: what the processes of the local cluster say.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use super::state::State;
use crate::cli::LogsArgs;
use crate::output::Output;

const PAUSE: Duration = Duration::from_millis(200);

/// What is read of the end of a file to find its last lines.
const TAIL_BYTES: u64 = 256 * 1024;

/// A file and how much of it has been shown.
struct Source {
    name: String,
    path: PathBuf,
    shown: u64,
}

pub(crate) async fn run(args: LogsArgs, output: &mut Output) -> anyhow::Result<ExitCode> {
    let data = &args.data.data;
    let state = State::load(data)?
        .with_context(|| format!("there is no local cluster in {}", data.display()))?;
    let names = match args.name.as_deref() {
        Some("supervisor") => vec!["supervisor".to_owned()],
        Some(name) => vec![state.process(name)?.name.clone()],
        None => state
            .processes
            .iter()
            .map(|process| process.name.clone())
            .collect(),
    };
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let alone = names.len() == 1;
    let mut sources = Vec::new();
    for name in names {
        let path = file(data, &name);
        if alone && !path.exists() {
            bail!("{} is not there", path.display());
        }
        let shown = fs::metadata(&path).map(|found| found.len()).unwrap_or(0);
        for line in tail(data, &name, args.lines).lines() {
            show(output, &name, line, width, alone)?;
        }
        sources.push(Source { name, path, shown });
    }
    if !args.follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        for source in &mut sources {
            for line in news(source).lines() {
                show(output, &source.name, line, width, alone)?;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn show(
    output: &mut Output,
    name: &str,
    line: &str,
    width: usize,
    alone: bool,
) -> anyhow::Result<()> {
    if alone {
        output.line(line)?;
    } else {
        output.line(&format!("{name:width$} | {line}"))?;
    }
    Ok(())
}

fn file(data: &Path, name: &str) -> PathBuf {
    data.join("logs").join(format!("{name}.log"))
}

/// The last lines of a log; empty when there is none.
pub(crate) fn tail(data: &Path, name: &str, count: usize) -> String {
    let path = file(data, name);
    let size = fs::metadata(&path).map(|found| found.len()).unwrap_or(0);
    let text = read_from(&path, size.saturating_sub(TAIL_BYTES)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// The whole lines that have been written since; the rest comes next time.
fn news(source: &mut Source) -> String {
    let size = fs::metadata(&source.path)
        .map(|found| found.len())
        .unwrap_or(0);
    if size < source.shown {
        // Rotated: it begins again.
        source.shown = 0;
    }
    let mut text = read_from(&source.path, source.shown).unwrap_or_default();
    text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
    source.shown += u64::try_from(text.len()).unwrap_or(0);
    text
}

fn read_from(path: &Path, from: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Source, file, fs, news, tail};

    #[test]
    fn shows_the_end_and_then_whole_lines() {
        let directory = tempfile::tempdir().expect("directory");
        let data = directory.path();
        fs::create_dir(data.join("logs")).expect("directory");
        assert_eq!(tail(data, "r1", 3), "");
        fs::write(file(data, "r1"), "a\nb\nc\n").expect("write");
        assert_eq!(tail(data, "r1", 2), "b\nc");
        let mut source = Source {
            name: "r1".to_owned(),
            path: file(data, "r1"),
            shown: 6,
        };
        let mut log = fs::File::options()
            .append(true)
            .open(&source.path)
            .expect("open");
        log.write_all(b"d\nhal").expect("write");
        assert_eq!(news(&mut source), "d\n");
        log.write_all(b"f\n").expect("write");
        assert_eq!(news(&mut source), "half\n");
        fs::write(&source.path, "new\n").expect("write");
        assert_eq!(news(&mut source), "new\n");
    }
}
