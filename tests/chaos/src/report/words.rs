//! Figures and foreign text as words: numbers, lengths, moments, and the escapes of XML and
//! Markdown.

/// A whole number with a comma after each three digits.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A length in milliseconds in the unit that reads best.
pub(super) fn length(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{:.2} s", ms as f64 / 1_000.0),
        120_000..7_200_000 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        7_200_000..3_600_000_000 => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
        _ => "over 1,000 h".to_owned(),
    }
}

/// A latency in microseconds, for the axis.
pub(super) fn latency(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", us / 1_000),
        1_000_000..10_000_000_000 => format!("{} s", us / 1_000_000),
        _ => format!("{:.0e} s", us as f64 / 1e6),
    }
}

/// A count for the axis, in at most six characters.
pub(super) fn count(value: u64) -> String {
    let parts = value as f64;
    match value {
        0..10_000 => number(value),
        10_000..1_000_000 => format!("{}k", parts / 1e3),
        1_000_000..1_000_000_000 => format!("{}M", parts / 1e6),
        _ => format!("{parts:.0e}"),
    }
}

/// A moment of the run, as minutes, seconds and tenths.
pub(super) fn moment(ms: u64) -> String {
    format!("{}:{:02}.{}", ms / 60_000, ms / 1_000 % 60, ms / 100 % 10)
}

/// `1 fault`, `2 faults`.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    let word = if count == 1 { one } else { many };
    format!("{} {word}", number(count as u64))
}

/// A date of RFC 3339 in UTC without its `T` and `Z`; any other text as it is.
pub(super) fn date(began: &str) -> String {
    let plain = began.len() == 20 && began.is_ascii() && began.ends_with('Z');
    if plain && began.as_bytes()[10] == b'T' {
        format!("{} {} UTC", &began[..10], &began[11..19])
    } else {
        began.to_owned()
    }
}

/// Text for an element or a quoted attribute of XML or HTML. Characters that XML forbids even
/// as references become U+FFFD.
pub(super) fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(c),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                out.push('\u{fffd}');
            }
            _ => out.push(c),
        }
    }
    out
}

/// Text for one cell of a Markdown table or one item of a list: nothing in it is markup, and it
/// stays on its line.
pub(super) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            '\u{2028}' | '\u{2029}' => out.push(' '),
            c if c.is_control() => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}

/// At most `chars_max` characters; a cut is shown by an ellipsis.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{kept}…")
}
