//! Where things stand: the time that all panels share, and the ticks of the value axes.

use crate::record::Record;

/// Most ticks of a value axis; more lines hide what they measure.
const VALUE_TICKS_MAX: f64 = 4.0;

/// The plot of one picture: its sides in units of the viewBox, and the time it spans.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plot {
    /// The whole picture.
    pub(super) width: f64,
    /// Where time 0 is.
    pub(super) left: f64,
    /// Where the last moment is.
    pub(super) right: f64,
    /// The time between them, at least a second.
    pub(super) span_ms: u64,
}

impl Plot {
    /// Where a moment is; one beyond the span is at the right side.
    pub(super) fn x(&self, at_ms: u64) -> f64 {
        self.left + (self.right - self.left) * self.part(at_ms)
    }

    fn part(&self, ms: u64) -> f64 {
        (ms as f64 / self.span_ms as f64).clamp(0.0, 1.0)
    }

    /// Left side and width of a stretch of time, at least `width_min` wide and inside the plot.
    pub(super) fn stretch(&self, from_ms: u64, to_ms: u64, width_min: f64) -> (f64, f64) {
        let from = self.x(from_ms);
        let width = (self.x(to_ms) - from).max(width_min);
        (from.min(self.right - width).max(self.left), width)
    }
}

/// The time from 0 to the last thing of the record.
pub(super) fn span_ms(record: &Record) -> u64 {
    let samples = record.samples.iter().map(|s| s.at_ms.saturating_add(1_000));
    let faults = record.faults.iter().map(|f| f.to_ms.max(f.from_ms));
    let marks = record.marks.iter().map(|m| m.at_ms);
    let failovers = record
        .failovers
        .iter()
        .map(|f| f.at_ms.saturating_add(f.gap_ms));
    let last = samples.chain(faults).chain(marks).chain(failovers).max();
    last.unwrap_or(0).max(record.length_ms).max(1_000)
}

/// Moments to label, at most `count_max` beside 0, on round seconds, minutes or hours.
pub(super) fn time_ticks(span_ms: u64, count_max: u64) -> Vec<u64> {
    const STEPS_S: [u64; 13] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600];
    let fits = |step: &u64| span_ms / (step * 1_000) <= count_max;
    let step_ms = match STEPS_S.into_iter().find(fits) {
        Some(step) => step * 1_000,
        // Longer than any run: whole hours, as many as needed.
        None => (span_ms / count_max / 3_600_000 + 1).saturating_mul(3_600_000),
    };
    (0..=span_ms / step_ms).map(|n| n * step_ms).collect()
}

/// The label of a tick: seconds in a short run, minutes and seconds in a longer one.
pub(super) fn time_label(at_ms: u64, span_ms: u64) -> String {
    let seconds = at_ms / 1_000;
    match span_ms {
        0..120_000 => format!("{seconds} s"),
        120_000..7_200_000 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02} h", seconds / 3_600, seconds / 60 % 60),
    }
}

/// Round values from 0 to above `highest`, which is the last of them.
pub(super) fn linear_ticks(highest: u64) -> Vec<u64> {
    let rough = highest.max(1) as f64 / VALUE_TICKS_MAX;
    let decade = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * decade >= rough)
        .unwrap_or(10.0);
    let step = ((factor * decade).ceil() as u64).max(1);
    let count = highest.max(1).div_ceil(step);
    (0..=count).map(|n| n.saturating_mul(step)).collect()
}

/// The powers of ten around `lowest` and `highest`, both at least 1; at least two.
pub(super) fn decade_ticks(lowest: u64, highest: u64) -> Vec<u64> {
    let first = lowest.max(1).ilog10();
    let mut ticks = vec![10_u64.pow(first)];
    for exponent in first + 1..=19 {
        ticks.push(10_u64.pow(exponent));
        if 10_u64.pow(exponent) >= highest {
            break;
        }
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tick that is not round, or an axis that ends below its highest value, misleads.
    #[test]
    fn value_axes_hold_their_values() {
        assert_eq!(linear_ticks(0), [0, 1]);
        assert_eq!(linear_ticks(3), [0, 1, 2, 3]);
        assert_eq!(linear_ticks(230), [0, 100, 200, 300]);
        assert_eq!(decade_ticks(3_000, 40_000), [1_000, 10_000, 100_000]);
        assert_eq!(decade_ticks(1_000, 1_000), [1_000, 10_000]);
        for highest in (0..200).map(|n| n * n * n).chain([u64::MAX]) {
            let ticks = linear_ticks(highest);
            assert!(*ticks.last().unwrap() >= highest, "{highest}: {ticks:?}");
            assert!(ticks.len() <= 6, "{highest}: {ticks:?}");
        }
    }

    /// Labels that touch cannot be read, and a run without any cannot be dated.
    #[test]
    fn time_has_a_few_ticks() {
        for span_ms in [1_000, 1_001, 59_000, 600_000, 7_200_000, u64::MAX] {
            let ticks = time_ticks(span_ms, 10);
            assert!((2..=11).contains(&ticks.len()), "{span_ms}: {ticks:?}");
            assert!(ticks.iter().all(|tick| *tick <= span_ms));
        }
        assert_eq!(time_ticks(600_000, 10).len(), 11);
        assert_eq!(time_label(90_000, 600_000), "1:30");
        assert_eq!(time_label(5_000, 60_000), "5 s");
    }

    /// Nothing leaves the plot, whatever the record says.
    #[test]
    fn stretches_stay_inside() {
        let plot = Plot {
            width: 360.0,
            left: 40.0,
            right: 340.0,
            span_ms: 1_000,
        };
        for (from, to) in [(0, 0), (0, 1_000), (1_000, 1_000), (999, u64::MAX), (5, 2)] {
            let (x, width) = plot.stretch(from, to, 4.0);
            assert!(x >= 40.0 && x + width <= 340.0 + 1e-9, "{from} {to}");
            assert!(width >= 4.0);
        }
    }
}
