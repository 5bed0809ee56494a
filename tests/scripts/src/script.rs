//! The text of a script: prose, commands, and the trace that each command must cause.
//!
//! In: the text of a file. Out: its pieces in order; the same text again, with other traces if
//! these were replaced. Invariants: prose and commands are never changed. Tests: below

use std::fmt;

use anyhow::{Result, bail};

/// What a script consists of.
#[derive(Debug)]
pub struct Script {
    pub(crate) pieces: Vec<Piece>,
}

/// One piece.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A line that is not run: `# …` or empty.
    Prose(String),
    /// A command and its trace.
    Command(Block),
}

/// A command and its trace.
#[derive(Debug)]
pub(crate) struct Block {
    /// Its line in the file, from 1.
    pub(crate) line: usize,
    /// Without the `> `.
    pub(crate) command: String,
    /// Without the indentation.
    pub(crate) trace: Vec<String>,
}

impl Script {
    /// Reads the text of a script.
    ///
    /// # Errors
    /// When a line is neither prose, command nor the trace of one, or the script does not begin
    /// by telling its reader what it shows.
    pub fn parse(text: &str) -> Result<Self> {
        let mut pieces = Vec::new();
        if !text.starts_with("# ") {
            bail!("line 1: a script begins with a comment that says what it shows");
        }
        for (index, line) in text.lines().enumerate() {
            let number = index.saturating_add(1);
            if let Some(command) = line.strip_prefix("> ") {
                pieces.push(Piece::Command(Block {
                    line: number,
                    command: command.trim().to_owned(),
                    trace: Vec::new(),
                }));
            } else if let Some(traced) = line.strip_prefix("  ") {
                let Some(Piece::Command(block)) = pieces.last_mut() else {
                    bail!("line {number}: a trace follows its command: {line:?}");
                };
                block.trace.push(traced.to_owned());
            } else if line.is_empty() || line.starts_with('#') {
                pieces.push(Piece::Prose(line.to_owned()));
            } else {
                bail!(
                    "line {number}: a line begins with `# `, `> ` or, as a trace, with two \
                     spaces: {line:?}"
                );
            }
        }
        Ok(Self { pieces })
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Prose(line) => writeln!(f, "{line}")?,
                Piece::Command(block) => {
                    writeln!(f, "> {}", block.command)?;
                    for line in &block.trace {
                        writeln!(f, "  {line}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Script;

    #[test]
    fn what_is_read_is_written() {
        let text = "# Title\n#\n# More.\n\n> cluster 3\n> start r1\n  r1 starts\n\n# End.\n";
        let script = Script::parse(text).expect("a script");
        assert_eq!(script.to_string(), text);
    }
}
