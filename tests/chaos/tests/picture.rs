//! The picture's curves, its longest gaps and its legend are those of the record.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at once"
)]

mod fixture;

use chaos::record::{Record, Sample};
use fixture::{has_class, pictures};
use roxmltree::Document;

/// The points of the longest path of a class: the legend has a short one of the same. A dot's
/// `h0` is no point of its own.
fn curve(document: &Document<'_>, class: &str) -> (Vec<(f64, f64)>, usize) {
    let paths = document.descendants().filter(|n| has_class(n, class));
    let data = paths.filter_map(|n| n.attribute("d"));
    let path = data.max_by_key(|d| d.len()).unwrap_or_default();
    let steps = path.split(['M', 'L']).skip(1);
    let points = steps.map(|step| {
        let (x, y) = step.trim_end_matches("h0").split_once(' ').unwrap();
        (x.parse().unwrap(), y.parse().unwrap())
    });
    (points.collect(), path.matches('M').count())
}

/// Four seconds whose figures grow tenfold, with one in which nothing was acknowledged.
fn growing() -> Record {
    let mut record = fixture::empty();
    let figures = [(100, 1_000), (200, 10_000), (0, 0), (300, 100_000)];
    record.samples = (0..)
        .zip(figures)
        .map(|(second, (acked, p50_us))| Sample {
            at_ms: second * 1_000,
            sent: 300,
            acked,
            p50_us,
            p99_us: p50_us * 10,
            max_us: p50_us * 10,
        })
        .collect();
    record
}

/// A curve that is missing, wrong in scale or shifted in time shows a run that never was. One
/// that goes on over a second without acks claims a latency that nobody had.
#[test]
fn curves_are_those_of_the_samples() {
    for picture in pictures(&growing()) {
        let document = Document::parse(&picture).unwrap();
        let of = |class| curve(&document, class);
        let near = |a: f64, b: f64| (a - b).abs() < 0.05;
        for (class, seconds, pieces) in [
            ("sent", &[0, 1, 2, 3][..], 1),
            ("acked", &[0, 1, 2, 3], 1),
            ("p50", &[0, 1, 3], 2),
            ("p99", &[0, 1, 3], 2),
        ] {
            let (points, drawn) = of(class);
            assert_eq!((points.len(), drawn), (seconds.len(), pieces), "{class}");
            let times = of("sent").0;
            let shared = |(point, second): (&(f64, f64), &usize)| near(point.0, times[*second].0);
            assert!(
                points.iter().zip(seconds).all(shared),
                "{class}: {points:?}"
            );
        }
        let (sent, acked) = (of("sent").0, of("acked").0);
        let second = sent[1].0 - sent[0].0;
        let even = sent
            .windows(2)
            .all(|pair| near(pair[1].0 - pair[0].0, second));
        assert!(second > 1.0 && even, "time runs evenly: {sent:?}");
        let step = acked[2].1 - acked[0].1;
        assert!(step > 1.0, "more is higher: {acked:?}");
        assert!(near(acked[0].1 - acked[1].1, step), "linear: {acked:?}");
        assert!(near(acked[3].1, sent[3].1), "300 of 300: {acked:?}");
        let (p50, p99) = (of("p50").0, of("p99").0);
        let decade = p50[0].1 - p50[1].1;
        assert!(decade > 1.0, "slower is higher: {p50:?}");
        assert!(near(p50[1].1 - p50[2].1, decade), "logarithmic: {p50:?}");
        assert!(near(p50[0].1 - p99[0].1, decade), "one scale: {p99:?}");
    }
}

/// The longest failover and the longest gap of a client are what the issue asks to be seen.
#[test]
fn the_longest_gaps_are_drawn() {
    // The gaps are drawn whatever the verdict is.
    let record = fixture::violated(fixture::run(60, 28));
    let longest = record.failovers.iter().max_by_key(|f| f.gap_ms).unwrap();
    let label = format!("{} ms", longest.gap_ms);
    for picture in pictures(&record) {
        let document = Document::parse(&picture).unwrap();
        let all = |name| document.descendants().filter(move |n| has_class(n, name));
        let notes: Vec<&str> = all("note").filter_map(|n| n.text()).collect();
        let has = |words: &str| notes.iter().any(|note| note.contains(words));
        assert!(has("longest") && has(&label), "{label} in {notes:?}");
        assert!(has("2.14 s"), "the gap of a client in {notes:?}");
        let lines: Vec<_> = all("longest").filter_map(|n| n.attribute("d")).collect();
        let gap = all("failover").find(|n| {
            let title = n.first_element_child().and_then(|t| t.text());
            title.is_some_and(|words| words.ends_with(&label))
        });
        let x = gap.and_then(|n| n.attribute("x")).unwrap();
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with(&format!("M{x} ")), "{x}: {lines:?}");
        // Ends, then the length between them: 2.14 of 60 seconds.
        let spans = all("span").filter_map(|n| n.attribute("d")?.split_once("m0 -4h"));
        let widths = spans.filter_map(|(_, rest)| rest.split_once('m')?.0.parse::<f64>().ok());
        let widths: Vec<f64> = widths.collect();
        let plot = {
            let ground = all("grid").filter_map(|n| n.attribute("d")?.split_once('L'));
            let ends = ground.map(|(from, to)| {
                let x = |text: &str| text.split(' ').next().unwrap().parse::<f64>().unwrap();
                x(to) - x(&from[1..])
            });
            ends.fold(0.0, f64::max)
        };
        let right = |width: &f64| (width - plot * 2.14 / 60.0).abs() < 0.05;
        assert_eq!(widths.len(), 2, "one in the legend, one measured");
        assert!(right(&widths[1]), "{widths:?} of {plot}");
    }
}

/// A sign that no legend explains is a riddle.
#[test]
fn every_sign_is_explained() {
    for picture in pictures(&fixture::run(60, 28)) {
        let document = Document::parse(&picture).unwrap();
        let keys = document.descendants().filter(|n| has_class(n, "key"));
        let keys: Vec<&str> = keys.filter_map(|n| n.text()).collect();
        for words in [
            "acknowledged",
            "sent",
            "median",
            "p99",
            "election",
            "suspicion",
            "replacement",
            "failover gap",
            "longest gap a client saw",
            "installed",
            "skipped",
            "indeterminate",
        ] {
            assert!(keys.contains(&words), "{words} in {keys:?}");
        }
    }
}
