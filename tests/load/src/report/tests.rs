//! What is written says what was measured.

use super::*;
use crate::record::{Cell, Record};

fn record(series: &str, system: &str, level: u64, figures: &[(&str, f64)]) -> Record {
    let cell = Cell {
        series: series.to_owned(),
        system: system.to_owned(),
        replicas: 3,
        bytes: 128,
        level,
    };
    let mut record = Record::new(cell, 1);
    for (name, value) in figures {
        record.set(name, *value);
    }
    record
}

fn results() -> Results {
    Results {
        skipped: vec!["etcd is not\ninstalled".to_owned()],
        records: vec![
            record("commit", "Chatterbox", 1000, &[("per_s", 30_000.0)]),
            record("commit", "etcd", 1000, &[("per_s", 10_000.0)]),
            record("commit", "etcd", 1, &[("per_s", 840.0)]),
            record(
                "open",
                "etcd",
                2000,
                &[
                    ("p50_us", 1_500.0),
                    ("p99_us", 15_000.0),
                    ("p99.9_us", 150_000.0),
                    ("overrun", 1.0),
                ],
            ),
        ],
        ..Results::default()
    }
}

/// A ratio is ours over theirs; what was not measured is a dash, not a zero.
#[test]
fn tables_hold_figures_and_ratios() {
    let text = markdown(&results(), "images");
    assert!(text.contains("| Chatterbox | – | 30,000 |"), "{text}");
    assert!(text.contains("| etcd | 840 | 10,000 |"), "{text}");
    assert!(text.contains("| etcd | – | 3.00 |"), "{text}");
    assert!(
        text.contains("1.50 / 15.0 / 150 (cannot keep up)"),
        "{text}"
    );
    assert!(text.contains("- etcd is not installed"), "{text}");
    assert!(text.contains("Not measured in this run."), "{text}");
}

/// A chart without a point would be a broken picture.
#[test]
fn only_charts_with_points_are_drawn() {
    let names: Vec<&str> = charts(&results()).iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["commits.svg"]);
}

/// What people wrote around the tables stays.
#[test]
fn only_what_is_between_the_marks_is_replaced() {
    let document = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
    let text = replace(&document, "new\n").unwrap();
    assert_eq!(text, format!("before\n{BEGIN}\n\nnew\n{END}\nafter\n"));
    assert!(replace("no marks", "new").is_err());
}

#[test]
fn thousands_are_apart() {
    let pairs = [
        (7, "7"),
        (840, "840"),
        (1_000, "1,000"),
        (1_234_567, "1,234,567"),
    ];
    for (value, text) in pairs {
        assert_eq!(grouped(value), text);
    }
    assert_eq!(
        [ms(370.0), ms(25_000.0), ms(220_000.0)],
        ["0.37", "25.0", "220"]
    );
}
