//! The one place that writes to the terminal. Tests hand in a buffer.

use std::io::{self, Write};

/// Where answers go.
pub(crate) struct Output {
    sink: Box<dyn Write + Send>,
}

impl Output {
    pub(crate) fn stdout() -> Self {
        Self {
            sink: Box::new(io::stdout()),
        }
    }

    #[cfg(test)]
    pub(crate) fn to(sink: impl Write + Send + 'static) -> Self {
        Self {
            sink: Box::new(sink),
        }
    }

    /// Writes one line (or several) and shows it at once.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.sink, "{text}")?;
        self.sink.flush()
    }

    /// Writes a question: the cursor stays behind it.
    pub(crate) fn ask(&mut self, text: &str) -> io::Result<()> {
        write!(self.sink, "{text}")?;
        self.sink.flush()
    }

    /// For errors. Nothing can be done when stderr is closed.
    pub(crate) fn stderr_line(text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// Whether the reader of our output has gone.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Columns under their heads, two spaces apart. `right`: columns of numbers.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>], right: &[usize]) -> String {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells
            .chain([head[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let mut text = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let pad = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
            let gap = if column == 0 { "" } else { "  " };
            let (before, after) = if right.contains(&column) {
                (&*pad, "")
            } else {
                ("", &*pad)
            };
            text.push_str(gap);
            text.push_str(before);
            text.push_str(cell);
            text.push_str(after);
        }
        text.trim_end().to_owned()
    };
    let mut lines = vec![line(head.to_vec())];
    lines.extend(
        rows.iter()
            .map(|row| line(row.iter().map(String::as_str).collect())),
    );
    lines.join("\n")
}

/// 1536 → `1.5 KiB`.
pub(crate) fn bytes(count: u64) -> String {
    let mut unit = "B";
    // Three figures are enough for people, so the loss of precision is not seen.
    #[allow(clippy::cast_precision_loss)]
    let mut value = count as f64;
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" {
        format!("{count} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// 93784000 ms → `1d 2h`: the two largest units.
pub(crate) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, duration, table};

    #[test]
    fn aligns_columns_by_letters() {
        let rows = vec![
            vec!["r1".to_owned(), "7".to_owned(), "führt".to_owned()],
            vec!["r10".to_owned(), "1024".to_owned(), "x".to_owned()],
        ];
        let expected = "NODE  SLOT  ROLE\nr1       7  führt\nr10   1024  x";
        assert_eq!(table(&["NODE", "SLOT", "ROLE"], &rows, &[1]), expected);
    }

    #[test]
    fn says_sizes_and_times_shortly() {
        assert_eq!(
            (bytes(0), bytes(1536)),
            ("0 B".to_owned(), "1.5 KiB".to_owned())
        );
        assert_eq!(bytes(5 * 1024 * 1024), "5.0 MiB");
        for (ms, words) in [
            (999, "0s"),
            (61_000, "1m 1s"),
            (3_660_000, "1h 1m"),
            (93_784_000, "1d 2h"),
        ] {
            assert_eq!(duration(ms), words);
        }
    }
}
