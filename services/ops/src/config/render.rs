//! The effective configuration for people: as a TOML file, and as one line for the log.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use figment::value::{Dict, Value};

use super::Settings;

const HIDDEN: &str = "(hidden)";

/// A TOML file that loads to the same settings; secrets are left out.
pub(super) fn toml<T: Settings>(dict: &Dict, sources: &BTreeMap<&'static str, String>) -> String {
    let mut out = format!("# {}\n", T::ABOUT);
    for (key, doc) in T::FIELDS {
        let source = sources.get(key).map_or("default", String::as_str);
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n# {doc}\n# From: {source}.");
        let _ = match dict.get(*key).map(literal) {
            _ if T::SECRETS.contains(key) => writeln!(out, "# {key} = {HIDDEN}"),
            Some(Some(value)) => writeln!(out, "{key} = {value}"),
            _ => writeln!(out, "# {key} ="),
        };
    }
    out
}

/// `key=value` for every key; those that are not defaults carry their source.
pub(super) fn line<T: Settings>(dict: &Dict, sources: &BTreeMap<&'static str, String>) -> String {
    let mut words = Vec::new();
    for (key, _) in T::FIELDS {
        let value = match dict.get(*key).and_then(literal) {
            _ if T::SECRETS.contains(key) => HIDDEN.to_owned(),
            Some(value) => value,
            None => "-".to_owned(),
        };
        match sources.get(key) {
            Some(source) => words.push(format!("{key}={value} [{source}]")),
            None => words.push(format!("{key}={value}")),
        }
    }
    words.join(" ")
}

/// A value as TOML writes it; `None` for an absent one.
pub(super) fn literal(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(quoted(text)),
        Value::Char(_, letter) => Some(quoted(&letter.to_string())),
        Value::Bool(_, on) => Some(on.to_string()),
        Value::Num(_, number) => Some(match (number.to_u128(), number.to_i128()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(whole)) => whole.to_string(),
            (None, None) => format!("{:?}", number.to_f64().unwrap_or(f64::NAN)),
        }),
        Value::Empty(..) => None,
        Value::Array(_, items) => {
            let items: Vec<String> = items.iter().filter_map(literal).collect();
            Some(format!("[{}]", items.join(", ")))
        }
        Value::Dict(_, dict) => {
            let pairs: Vec<String> = dict
                .iter()
                .filter_map(|(key, value)| Some(format!("{} = {}", quoted(key), literal(value)?)))
                .collect();
            Some(format!("{{ {} }}", pairs.join(", ")))
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(control));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}
