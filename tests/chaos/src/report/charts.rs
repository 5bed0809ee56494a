//! The two curves: messages in each second, and latency on a logarithmic scale.

use super::axis::{decade_ticks, linear_ticks};
use super::figures::headline;
use super::picture::{Canvas, Sign, Size};
use super::words::{count, latency as in_words, length, moment};
use crate::record::{Failover, Record, Sample};

/// One panel's place for values.
struct Values {
    top: f64,
    height: f64,
}

/// Messages sent and acknowledged in each second.
pub(super) fn throughput(canvas: &mut Canvas, record: &Record) {
    let legend = [
        (Sign::Line("acked"), "acknowledged".to_owned()),
        (Sign::Line("sent"), "sent".to_owned()),
        (Sign::Band("gap"), "failover gap".to_owned()),
    ];
    canvas.heading("Messages per second", &legend);
    // Room for the label of the longest failover, above all curves.
    canvas.y += 14.0;
    let values = place(canvas, 130.0);
    let highest = |s: &Sample| s.sent.max(s.acked);
    let ticks = linear_ticks(record.samples.iter().map(highest).max().unwrap_or(0));
    let last = ticks.last().copied().unwrap_or(1).max(1) as f64;
    let y = |value: u64| values.top + values.height * (1.0 - value as f64 / last);
    for tick in &ticks {
        value_tick(canvas, y(*tick), &count(*tick));
    }
    failovers(canvas, record, &values);
    area(canvas, &record.samples, &values, |s| y(s.acked));
    curve(canvas, "sent", &record.samples, |s| Some(y(s.sent)));
    curve(canvas, "acked", &record.samples, |s| Some(y(s.acked)));
    longest_failover(canvas, record, &values);
    if record.samples.is_empty() {
        nothing(canvas, record, &values);
    }
}

/// Median and 99th percentile of the latency. A second without acks is a hole in the curve.
pub(super) fn latency(canvas: &mut Canvas, record: &Record) {
    let legend = [
        (Sign::Line("p50"), "median".to_owned()),
        (Sign::Line("p99"), "p99".to_owned()),
    ];
    canvas.heading("Latency, log scale", &legend);
    let values = place(canvas, 110.0);
    let known = || {
        let all = record.samples.iter().flat_map(|s| [s.p50_us, s.p99_us]);
        all.filter(|us| *us > 0)
    };
    let lowest = known().min().unwrap_or(1_000);
    let ticks = decade_ticks(lowest, known().max().unwrap_or(1_000_000));
    let first = ticks.first().copied().unwrap_or(1) as f64;
    let last = ticks.last().copied().unwrap_or(10) as f64;
    let decades = (last / first).log10();
    let y = |us: u64| {
        let part = (us as f64 / first).log10() / decades;
        values.top + values.height * (1.0 - part.clamp(0.0, 1.0))
    };
    for tick in &ticks {
        value_tick(canvas, y(*tick), &in_words(*tick));
    }
    failovers(canvas, record, &values);
    let point = |us: u64| (us > 0).then(|| y(us));
    curve(canvas, "p99", &record.samples, |s| point(s.p99_us));
    curve(canvas, "p50", &record.samples, |s| point(s.p50_us));
}

fn place(canvas: &mut Canvas, height: f64) -> Values {
    let top = canvas.y;
    canvas.y += height + 8.0;
    Values { top, height }
}

fn value_tick(canvas: &mut Canvas, y: f64, label: &str) {
    let (left, right) = (canvas.plot.left, canvas.plot.right);
    canvas.line("grid", (left, y), (right, y));
    canvas.text("tick end", left - 6.0, y + 4.0, label);
}

/// The middle of a second.
fn middle(canvas: &Canvas, sample: &Sample) -> f64 {
    canvas.plot.x(sample.at_ms.saturating_add(500))
}

/// A curve through the middle of each second; `None` breaks it. A point between two breaks is a
/// dot, because its line has round ends.
fn curve(canvas: &mut Canvas, class: &str, samples: &[Sample], y: impl Fn(&Sample) -> Option<f64>) {
    let mut path = String::new();
    let mut pen_down = false;
    for sample in samples {
        let Some(y) = y(sample) else {
            pen_down = false;
            continue;
        };
        let x = middle(canvas, sample);
        if pen_down {
            path.push_str(&format!("L{x:.2} {y:.2}"));
        } else {
            path.push_str(&format!("M{x:.2} {y:.2}h0"));
        }
        pen_down = true;
    }
    if !path.is_empty() {
        canvas.add(&format!("<path class=\"{class}\" d=\"{path}\"/>"));
    }
}

fn area(canvas: &mut Canvas, samples: &[Sample], values: &Values, y: impl Fn(&Sample) -> f64) {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return;
    };
    let ground = values.top + values.height;
    let mut path = format!("M{:.2} {ground:.2}", middle(canvas, first));
    for sample in samples {
        path.push_str(&format!("L{:.2} {:.2}", middle(canvas, sample), y(sample)));
    }
    path.push_str(&format!("L{:.2} {ground:.2}z", middle(canvas, last)));
    canvas.add(&format!("<path class=\"area\" d=\"{path}\"/>"));
}

/// The time after each death of a leader in which nothing was acknowledged.
fn failovers(canvas: &mut Canvas, record: &Record, values: &Values) {
    for failover in &record.failovers {
        let until = failover.at_ms.saturating_add(failover.gap_ms);
        let (x, width) = canvas.plot.stretch(failover.at_ms, until, 2.0);
        let at = (x, values.top);
        canvas.band("gap", at, (width, values.height), &failover_words(failover));
    }
}

/// What a pointer over a failover gap shows.
pub(super) fn failover_words(failover: &Failover) -> String {
    format!(
        "{}: the leader was killed, nothing acknowledged for {}",
        moment(failover.at_ms),
        length(failover.gap_ms)
    )
}

fn longest_failover(canvas: &mut Canvas, record: &Record, values: &Values) {
    let Some(longest) = record.failovers.iter().max_by_key(|f| f.gap_ms) else {
        return;
    };
    let x = canvas.plot.x(longest.at_ms);
    let top = values.top - 14.0;
    canvas.line("longest", (x, top), (x, values.top + values.height));
    let name = match canvas.size {
        Size::Wide => "longest failover",
        Size::Narrow => "longest",
    };
    let words = format!("{name} {}", length(longest.gap_ms));
    let fits = x + 6.0 + words.chars().count() as f64 * 6.6 < canvas.plot.width;
    let (class, x) = if fits {
        ("note", x + 5.0)
    } else {
        ("note end", x - 5.0)
    };
    canvas.text(class, x, top + 9.0, &words);
}

/// Says in an empty panel why it is empty.
fn nothing(canvas: &mut Canvas, record: &Record, values: &Values) {
    let words = match canvas.size {
        Size::Wide => format!("no samples were recorded ({})", headline(record)),
        Size::Narrow => "no samples were recorded".to_owned(),
    };
    let x = (canvas.plot.left + canvas.plot.right) / 2.0;
    let y = values.top + values.height / 2.0;
    canvas.text("note middle", x, y, &words);
}
