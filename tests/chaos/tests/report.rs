//! The report: whatever a record holds, it is drawn whole, inside its picture, and escaped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at once"
)]

mod fixture;

use std::path::Path;
use std::process::Command;

use chaos::record::{Fault, Mark, Outcome, Record, Sample};
use chaos::report;
use fixture::{has_class, pictures};
use roxmltree::{Document, Node};

/// Records that are drawn in every test: none, little, a usual run, much, and one that lies.
fn records() -> Vec<(&'static str, Record)> {
    vec![
        ("empty", fixture::empty()),
        ("one second", fixture::run(1, 1)),
        ("ten minutes", fixture::run(600, 200)),
        ("violated", fixture::violated(fixture::run(90, 12))),
        ("hostile", hostile()),
    ]
}

/// Text that tries to be markup, and numbers that no run can have.
fn hostile() -> Record {
    let text = "</svg><script>alert(1)</script> & \"' | `x`\n\u{0}\u{1b}\u{fffe} ]]> *b* <!--";
    let mut record = fixture::violated(fixture::run(5, 3));
    for part in [
        &mut record.command,
        &mut record.mode,
        &mut record.began,
        &mut record.version,
    ] {
        *part = text.to_owned();
    }
    record.faults.push(Fault {
        kind: text.repeat(3),
        target: text.to_owned(),
        from_ms: u64::MAX,
        to_ms: 0,
        outcome: Outcome::Installed,
        words: text.to_owned(),
    });
    record.marks.push(Mark {
        at_ms: u64::MAX,
        kind: text.to_owned(),
        words: text.to_owned(),
    });
    record.samples.push(Sample {
        at_ms: u64::MAX,
        sent: u64::MAX,
        acked: u64::MAX,
        p50_us: 1,
        p99_us: u64::MAX,
        max_us: u64::MAX,
    });
    record.failovers[0].gap_ms = u64::MAX;
    record.verdict.longest_gap_ms = u64::MAX;
    record.verdict.violations[0].words = text.to_owned();
    record
}

/// All with a class that a pointer explains: signs of the legend have no words.
fn explained(document: &Document<'_>, class: &str) -> Vec<String> {
    let titles = document.descendants().filter(|n| n.has_tag_name("title"));
    let of_class = titles.filter(|t| t.parent().is_some_and(|n| has_class(&n, class)));
    of_class
        .filter_map(|t| t.text().map(str::to_owned))
        .collect()
}

/// A step of the nemesis or a mark that is not drawn would hide what the run went through.
#[test]
fn everything_is_drawn() {
    for (name, record) in records() {
        for picture in pictures(&record) {
            let document = Document::parse(&picture).unwrap();
            let of = |outcome| {
                record
                    .faults
                    .iter()
                    .filter(|f| f.outcome == outcome)
                    .count()
            };
            for (class, outcome) in [
                ("installed", Outcome::Installed),
                ("skipped", Outcome::Skipped),
                ("indeterminate", Outcome::Indeterminate),
            ] {
                let drawn = explained(&document, class);
                assert_eq!(drawn.len(), of(outcome), "{name}: {class}");
            }
            let bands = explained(&document, "band");
            for (index, fault) in record.faults.iter().enumerate() {
                let number = format!("{}. ", index + 1);
                let band = bands.iter().find(|words| words.starts_with(&number));
                let plain = fault.target.len() < 20;
                assert!(
                    band.is_some_and(|b| !plain || b.contains(&fault.words)),
                    "{name}"
                );
            }
            assert_eq!(
                explained(&document, "mark").len(),
                record.marks.len(),
                "{name}"
            );
            let failovers = explained(&document, "failover").len();
            assert_eq!(failovers, record.failovers.len(), "{name}");
        }
    }
}

/// States must be told apart without colour: the fills of the three outcomes differ, and the
/// patterns that they name are there.
#[test]
fn outcomes_differ_in_pattern() {
    let record = fixture::run(600, 200);
    for picture in pictures(&record) {
        let document = Document::parse(&picture).unwrap();
        let ids: Vec<&str> = document
            .descendants()
            .filter_map(|n| n.attribute("id"))
            .collect();
        for (class, ending) in [("skipped", "-hatch"), ("indeterminate", "-dots")] {
            for node in document.descendants().filter(|n| has_class(n, class)) {
                let fill = node.attribute("fill").unwrap_or_default();
                let id = fill.trim_start_matches("url(#").trim_end_matches(')');
                assert!(id.ends_with(ending) && ids.contains(&id), "{class}: {fill}");
            }
        }
        let mut installed = document.descendants().filter(|n| has_class(n, "installed"));
        assert!(installed.all(|n| n.attribute("fill").is_none()));
    }
}

/// What lies outside the viewBox is cut off and never seen. Widths of text are estimated
/// generously.
#[test]
fn nothing_is_outside_the_picture() {
    for (name, record) in records() {
        for picture in pictures(&record) {
            let document = Document::parse(&picture).unwrap();
            let view = document.root_element().attribute("viewBox").unwrap();
            let view: Vec<f64> = view.split(' ').map(|n| n.parse().unwrap()).collect();
            let inside = |x: f64, y: f64, what: &str| {
                let fits = (-0.01..=view[2] + 0.01).contains(&x) && (0.0..=view[3]).contains(&y);
                assert!(fits, "{name}: {x} {y} of {what} is outside {view:?}");
            };
            for node in document.descendants().filter(Node::is_element) {
                let number = |key| {
                    node.attribute(key)
                        .map_or(0.0, |n| n.parse::<f64>().unwrap())
                };
                if node.ancestors().any(|n| n.has_tag_name("defs")) {
                    continue;
                }
                match node.tag_name().name() {
                    "rect" => {
                        inside(number("x"), number("y"), "rect");
                        let (right, low) = (number("width"), number("height"));
                        inside(number("x") + right, number("y") + low, "rect");
                    }
                    "text" => text_inside(&node, number("x"), number("y"), &inside),
                    "path" => path_inside(node.attribute("d").unwrap(), &inside),
                    _ => {}
                }
            }
        }
    }
}

fn text_inside(node: &Node<'_, '_>, x: f64, y: f64, inside: &impl Fn(f64, f64, &str)) {
    let words = node.text().unwrap_or_default();
    let width = words.chars().count() as f64 * 6.2;
    let from = if has_class(node, "end") {
        x - width
    } else if has_class(node, "middle") {
        x - width / 2.0
    } else {
        x
    };
    inside(from, y - 11.0, words);
    inside(from + width, y + 3.0, words);
}

/// Follows the pen along a path of the commands that the picture uses.
fn path_inside(path: &str, inside: &impl Fn(f64, f64, &str)) {
    let (mut x, mut y) = (0.0, 0.0);
    let starts: Vec<usize> = path
        .char_indices()
        .filter(|(_, c)| c.is_ascii_alphabetic())
        .map(|(at, _)| at)
        .collect();
    for (index, start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(path.len());
        let numbers: Vec<f64> = path[start + 1..end]
            .split_whitespace()
            .map(|n| n.parse().unwrap())
            .collect();
        match &path[*start..=*start] {
            "M" | "L" => (x, y) = (numbers[0], numbers[1]),
            "m" | "l" => (x, y) = (x + numbers[0], y + numbers[1]),
            "h" => x += numbers[0],
            "v" => y += numbers[0],
            "V" => y = numbers[0],
            "z" => {}
            other => panic!("the test does not know {other} in {path}"),
        }
        inside(x, y, path);
    }
}

/// Text of a run must not become markup, in none of the three.
#[test]
fn everything_is_escaped() {
    let record = hostile();
    let page = report::html(&record);
    for text in [&page, &report::svg(&record)] {
        assert!(!text.contains("<script"), "a script");
        assert!(!text.contains("<!--"), "a comment");
        assert!(
            !text.contains(['\u{0}', '\u{1b}', '\u{fffe}']),
            "what XML forbids"
        );
        assert!(text.contains("&lt;script&gt;"), "the text itself is shown");
    }
    assert_eq!(page.matches("</svg>").count(), 2, "only our own ends");
    let markdown = report::markdown(&record);
    let (before, after) = markdown.split_once("\n```text\n").unwrap();
    let outside = format!("{before}{}", after.split_once("\n```\n").unwrap().1);
    assert!(!outside.contains('<'), "markup in the Markdown");
    assert!(
        !outside.contains(" `x`") && !outside.contains(" *b*"),
        "unescaped"
    );
}

/// A row of another number of cells breaks a table; a row that is missing hides a fault.
#[test]
fn markdown_has_every_row() {
    for (name, record) in records() {
        let markdown = report::markdown(&record);
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let rows = |head: &str| {
            let table = markdown.lines().skip_while(|line| !line.starts_with(head));
            let table: Vec<&str> = table.take_while(|line| line.starts_with('|')).collect();
            let same = table.iter().all(|line| cells(line) == cells(table[0]));
            assert!(same, "{name}: {head}");
            table.len().saturating_sub(2)
        };
        assert_eq!(rows("| # | From"), record.faults.len(), "{name}");
        assert_eq!(rows("| At | Kind"), record.marks.len(), "{name}");
        assert!(rows("| Figure") >= 15, "{name}");
    }
}

/// The verdict is what people read first: it must not say more than the checker did.
#[test]
fn the_verdict_is_in_words() {
    let passed = fixture::run(60, 9);
    let failed = fixture::violated(passed.clone());
    for (record, words) in [
        (&passed, "Passed: no violation"),
        (&failed, "Failed: 2 violations"),
        (
            &fixture::empty(),
            "Nothing proven: no message was acknowledged",
        ),
    ] {
        for text in [
            report::html(record),
            report::markdown(record),
            report::svg(record),
        ] {
            assert!(text.contains(words), "{words}");
        }
    }
    assert!(!report::html(&failed).contains("Passed"));
    for violation in &failed.verdict.violations {
        assert!(report::html(&failed).contains(&violation.words));
        assert!(report::markdown(&failed).contains(&violation.words));
    }
}

/// Figures that a reader checks against the claims of the issue.
#[test]
fn key_figures_are_those_of_the_record() {
    let mut record = fixture::run(10, 0);
    record.verdict.sent = 100_007;
    record.verdict.acknowledged = 100_000;
    let failover = |gap_ms| chaos::record::Failover { at_ms: 10, gap_ms };
    record.failovers = (1..=100).map(|n| failover(n * 10)).collect();
    let markdown = report::markdown(&record);
    for row in [
        "| Messages sent | 100,007 |",
        "| Acknowledged | 100,000 |",
        "| Acknowledged per second, mean | 10,000 |",
        "| Failover gap, median | 500 ms (of 100) |",
        "| Failover gap, p99 | 990 ms (of 100) |",
        "| Refused | 3 |",
        "| Unknown at the end | 4 |",
        "| Seed | 1 |",
        "| Began | 2026-11-26 08:00:00 UTC |",
    ] {
        assert!(markdown.contains(row), "{row}\n{markdown}");
    }
}

/// A page that loads something is no evidence to keep; a picture without words is none for some.
#[test]
fn the_page_is_complete_in_itself() {
    let page = report::html(&fixture::run(600, 200));
    for foreign in ["<script", "<link", "src=", "@import", "url(http", "href="] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for picture in pictures(&fixture::run(600, 200)) {
        let document = Document::parse(&picture).unwrap();
        let root = document.root_element();
        assert_eq!(root.attribute("role"), Some("img"));
        let ids = root.attribute("aria-labelledby").unwrap();
        for id in ids.split(' ') {
            let named = document
                .descendants()
                .find(|n| n.attribute("id") == Some(id));
            assert!(
                named.and_then(|n| n.text()).is_some_and(|t| t.len() > 20),
                "{id}"
            );
        }
    }
    let mut ids: Vec<&str> = page
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id stands twice");
}

/// An old run is drawn again by the program, and a wrong file is named. What it drew stays in
/// `target/tmp/report`, to be looked at.
#[test]
fn the_program_draws_a_file_again() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    std::fs::create_dir_all(&folder).unwrap();
    let run = folder.join("run.json");
    let record = fixture::run(600, 64);
    std::fs::write(&run, serde_json::to_string(&record).unwrap()).unwrap();
    let report = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_report"));
        command.arg(&run).output().unwrap()
    };
    assert!(report().status.success());
    let read = |name| std::fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("report.html"), report::html(&record));
    assert_eq!(read("report.svg"), report::svg(&record));
    assert_eq!(read("report.md"), report::markdown(&record));
    std::fs::write(&run, "{}").unwrap();
    let output = report();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.contains("run.json"),
        "{error}"
    );
}
