//! The tables of the report as Markdown.

use super::figures::{headline, key_figures, outcome_word, summary, tallies};
use super::words::{markdown as escape, moment};
use crate::record::Record;

/// The whole report but for the picture.
pub(super) fn draw(record: &Record) -> String {
    let mut out = format!(
        "# Chaos run\n\n**{}**\n\n{}\n\n## Key figures\n\n| Figure | Value |\n|---|---|\n",
        escape(&headline(record)),
        escape(&summary(record)),
    );
    for (name, value) in key_figures(record) {
        out.push_str(&format!("| {} | {} |\n", escape(name), escape(&value)));
    }
    out.push_str(&format!(
        "\nTo repeat it:\n\n{}\n## Violations\n\n",
        fenced(&record.command)
    ));
    if record.verdict.violations.is_empty() {
        out.push_str("None.\n");
    }
    for violation in &record.verdict.violations {
        let (kind, words) = (escape(&violation.kind), escape(&violation.words));
        out.push_str(&format!("- **{kind}**: {words}\n"));
    }
    out.push_str(&faults(record));
    out.push_str(&marks(record));
    out
}

/// A block of code whose fence is longer than any run of backticks in it.
fn fenced(code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{code}\n{fence}\n")
}

fn faults(record: &Record) -> String {
    if record.faults.is_empty() {
        return "\n## Faults\n\nNone.\n".to_owned();
    }
    let mut out = String::from(
        "\n## Faults by kind\n\n| Kind | Installed | Skipped | Indeterminate |\n|---|--:|--:|--:|\n",
    );
    for row in tallies(&record.faults) {
        out.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            escape(&row.kind),
            row.installed,
            row.skipped,
            row.indeterminate
        ));
    }
    out.push_str(
        "\n## Faults\n\n| # | From | To | Kind | Target | Outcome | What happened |\n\
         |--:|--:|--:|---|---|---|---|\n",
    );
    for (index, fault) in record.faults.iter().enumerate() {
        out.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            index + 1,
            moment(fault.from_ms),
            moment(fault.to_ms),
            escape(&fault.kind),
            escape(&fault.target),
            outcome_word(fault.outcome),
            escape(&fault.words),
        ));
    }
    out
}

fn marks(record: &Record) -> String {
    let mut out = String::from("\n## Elections, suspicions, replacements\n\n");
    if record.marks.is_empty() {
        out.push_str("None.\n");
        return out;
    }
    out.push_str("| At | Kind | What happened |\n|--:|---|---|\n");
    for mark in &record.marks {
        let (kind, words) = (escape(&mark.kind), escape(&mark.words));
        out.push_str(&format!("| {} | {kind} | {words} |\n", moment(mark.at_ms)));
    }
    out
}
