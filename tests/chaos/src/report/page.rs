//! The report as one HTML page.

use super::figures::{Standing, headline, key_figures, outcome_word, summary, tallies};
use super::picture::{self, Size};
use super::words::{moment, xml};
use crate::record::Record;

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(super) fn draw(record: &Record) -> String {
    let standing = Standing::of(record);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{headline} · chaos run, seed {seed}</title>\n\
         <style>\n{STYLE}{picture_style}</style>\n</head>\n<body>\n<main>\n\
         <header>\n<p class=\"product\">Chatterbox Messenger · chaos run</p>\n\
         <h1 class=\"{class}\"><span aria-hidden=\"true\">{sign}</span> {headline}</h1>\n\
         <p>{summary}</p>\n</header>\n\
         {violations}\
         <section aria-labelledby=\"picture\">\n<h2 id=\"picture\">Over time</h2>\n\
         {wide}{narrow}</section>\n\
         {figures}{kinds}{faults}{marks}\
         </main>\n</body>\n</html>\n",
        headline = xml(&headline(record)),
        seed = record.seed,
        picture_style = picture::STYLE,
        class = standing.class(),
        sign = standing.sign(),
        summary = xml(&summary(record)),
        violations = violations(record),
        wide = picture::inline(record, Size::Wide),
        narrow = picture::inline(record, Size::Narrow),
        figures = figures(record),
        kinds = kinds(record),
        faults = faults(record),
        marks = marks(record),
    )
}

fn violations(record: &Record) -> String {
    if record.verdict.violations.is_empty() {
        return String::new();
    }
    let mut items = String::new();
    for violation in &record.verdict.violations {
        items.push_str(&format!(
            "<li><strong>{}</strong>: {}</li>\n",
            xml(&violation.kind),
            xml(&violation.words)
        ));
    }
    section("violations", "Violations", &format!("<ol>\n{items}</ol>\n"))
}

fn figures(record: &Record) -> String {
    let mut items = String::new();
    for (name, value) in key_figures(record) {
        items.push_str(&format!(
            "<div><dt>{}</dt><dd>{}</dd></div>\n",
            xml(name),
            xml(&value)
        ));
    }
    let body = format!(
        "<dl>\n{items}</dl>\n<p>To repeat it:</p>\n<pre tabindex=\"0\"><code>{}</code></pre>\n",
        xml(&record.command)
    );
    section("figures", "Key figures", &body)
}

fn kinds(record: &Record) -> String {
    let rows = tallies(&record.faults).into_iter().map(|row| {
        vec![
            row.kind,
            row.installed.to_string(),
            row.skipped.to_string(),
            row.indeterminate.to_string(),
        ]
    });
    let heads = ["Kind", "Installed", "Skipped", "Indeterminate"];
    section("kinds", "Faults by kind", &table("kinds", &heads, rows))
}

fn faults(record: &Record) -> String {
    let rows = record.faults.iter().enumerate().map(|(index, fault)| {
        vec![
            (index + 1).to_string(),
            format!("{} – {}", moment(fault.from_ms), moment(fault.to_ms)),
            fault.kind.clone(),
            fault.target.clone(),
            outcome_word(fault.outcome).to_owned(),
            fault.words.clone(),
        ]
    });
    let heads = ["#", "Time", "Kind", "Target", "Outcome", "What happened"];
    section("faults", "All faults", &table("faults", &heads, rows))
}

fn marks(record: &Record) -> String {
    let rows = record
        .marks
        .iter()
        .map(|mark| vec![moment(mark.at_ms), mark.kind.clone(), mark.words.clone()]);
    let heads = ["Time", "Kind", "What happened"];
    let title = "Elections, suspicions, replacements";
    section("marks", title, &table("marks", &heads, rows))
}

fn section(id: &str, title: &str, body: &str) -> String {
    format!("<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{body}</section>\n")
}

/// A table. Roles are named because on a narrow screen rows are shown as blocks, and browsers
/// then forget that it is a table.
fn table(class: &str, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut body = String::new();
    for row in rows {
        let cell = |text: &String| format!("<td role=\"cell\">{}</td>", xml(text));
        let cells: String = row.iter().map(cell).collect();
        body.push_str(&format!("<tr role=\"row\">{cells}</tr>\n"));
    }
    if body.is_empty() {
        return "<p>None.</p>\n".to_owned();
    }
    let head = |text: &&str| format!("<th role=\"columnheader\" scope=\"col\">{text}</th>");
    let heads: String = heads.iter().map(head).collect();
    format!(
        "<table role=\"table\" class=\"{class}\" aria-labelledby=\"{class}\">\n\
         <thead role=\"rowgroup\"><tr role=\"row\">{heads}</tr></thead>\n\
         <tbody role=\"rowgroup\">\n{body}</tbody>\n</table>\n"
    )
}
