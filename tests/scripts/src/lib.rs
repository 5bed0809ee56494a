//! Scripts of the protocol: commands to a small cluster of real cores, each with the full
//! trace that it must cause. They are read as documentation and run as tests.
//!
//! In: a `*.script` file. Out: the same file with the trace that the cores give; a difference
//! is a failure, or the new text with `UPDATE=1`. README.md beside this crate has the language
//! and the list of scripts. Nothing here decides anything: order, randomness and time all come
//! from the script, so the same script gives the same trace on every machine.
//!
//! Invariants: agreement and "durable before sent" are checked by `oracle` in every script, so
//! that no rewritten trace can bless a violation of them. Tests: below and tests/every.rs

mod command;
mod disk;
mod node;
mod oracle;
mod run;
mod script;
mod show;
mod wire;
mod world;

use std::path::Path;

use anyhow::{Context, Result, bail};
use similar::{ChangeTag, TextDiff};

pub use crate::script::Script;

/// Runs the commands of a script and answers its text with the trace that they cause.
///
/// # Errors
/// When the text is no script, a command is unknown or impossible (with its line), or the trace
/// violates agreement or "durable before sent".
pub fn run(text: &str) -> Result<String> {
    let mut script = Script::parse(text)?;
    run::run(&mut script)?;
    Ok(script.to_string())
}

/// Runs a script file and compares, or writes it anew with `update`.
///
/// # Errors
/// As [`run`]; or the file cannot be read or written; or the trace differs: the error shows
/// where.
pub fn check(path: &Path, update: bool) -> Result<()> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("read {name}"))?;
    let traced = run(&text).with_context(|| format!("run {name}"))?;
    if traced == text {
        return Ok(());
    }
    if update {
        return std::fs::write(path, &traced).with_context(|| format!("write {name}"));
    }
    bail!(
        "{name}: the trace differs (- expected, + seen). If the change is meant: \
         UPDATE=1 cargo test -p scripts, then review the diff.\n{}",
        difference(&text, &traced)
    )
}

/// The changed lines with some lines around them, under the command that caused them.
fn difference(expected: &str, seen: &str) -> String {
    const CONTEXT_LINES: usize = 3;
    let diff = TextDiff::from_lines(expected, seen);
    let mut text = String::new();
    for group in diff.grouped_ops(CONTEXT_LINES) {
        let first = group.first().map_or(0, |op| op.old_range().start);
        let command = expected.lines().take(first.saturating_add(1));
        let command = command.filter(|line| line.starts_with("> ")).last();
        text.push_str(&format!(
            "@@ line {}, in: {}\n",
            first.saturating_add(1),
            command.unwrap_or("the beginning")
        ));
        for op in &group {
            for change in diff.iter_changes(op) {
                let sign = match change.tag() {
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                    ChangeTag::Equal => ' ',
                };
                text.push_str(&format!("{sign}{}", change.value()));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{check, difference, run};

    #[test]
    fn a_difference_names_the_line_and_the_command() {
        let expected = "# Why.\n> cluster 3\n> start r1\n  a\n  b\n";
        let text = difference(expected, &expected.replace("  b", "  c"));
        assert!(text.contains("in: > cluster 3"), "{text}");
        assert!(text.contains("-  b\n+  c\n"), "{text}");
    }

    #[test]
    fn unknown_and_impossible_commands_name_their_line() {
        for (text, line) in [
            ("# Why.\n> cluster 3\n> dance r1\n", "line 3"),
            ("# Why.\n\n> start r1\n", "line 3"),
            ("# Why.\n> cluster 3\n> deliver r1->r2\n", "line 3"),
            ("# Why.\n> cluster 3\nstart r1\n", "line 3"),
            ("# Why.\n  output of nothing\n", "line 2"),
            ("> cluster 3\n", "line 1"),
        ] {
            let error = format!("{:#}", run(text).expect_err(text));
            assert!(error.contains(line), "{text:?}: {error}");
        }
    }

    /// Goal: a trace that changed fails, and is accepted by UPDATE only.
    #[test]
    fn a_changed_trace_fails_until_it_is_updated() {
        let path = std::env::temp_dir().join(format!("chatterbox-{}.script", std::process::id()));
        let text = "# Why.\n> cluster 3\n> start r1\n  something else\n";
        std::fs::write(&path, text).expect("write");
        let error = format!("{:#}", check(&path, false).expect_err("differs"));
        assert!(error.contains("-  something else"), "{error}");
        check(&path, true).expect("update");
        check(&path, false).expect("updated");
        let seen = std::fs::read_to_string(&path).expect("read");
        std::fs::remove_file(&path).expect("remove");
        assert!(seen.contains("r1 starts"), "{seen}");
    }
}
