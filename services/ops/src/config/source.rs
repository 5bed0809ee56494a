//! Where values come from: the command line, the environment, a file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};
use figment::providers::{Format, Toml};
use figment::value::{Dict, Tag, Value};

use super::{Faults, Settings, render};

/// A value before it is known to be right.
pub(super) struct Given {
    pub(super) key: String,
    pub(super) text: Text,
    /// Words for people: `--listen`, `CHATTERBOX_X_LISTEN`, `/etc/x.toml`.
    pub(super) source: String,
}

/// A file knows the types of its values; the environment and the command line do not.
pub(super) enum Text {
    Typed(Value),
    Untyped(String),
}

impl Text {
    /// As the operator wrote it, more or less.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Typed(value) => render::literal(value).unwrap_or_default(),
            Self::Untyped(text) => format!("`{text}`"),
        }
    }
}

pub(super) struct Arguments {
    pub(super) config: Option<PathBuf>,
    pub(super) print: bool,
    pub(super) given: Vec<Given>,
}

pub(super) struct Environment {
    pub(super) config: Option<PathBuf>,
    pub(super) given: Vec<Given>,
}

const CONFIG: &str = "config";
const PRINT: &str = "print-config";

pub(super) fn arguments<T: Settings>(
    args: impl IntoIterator<Item = OsString>,
    defaults: &Dict,
) -> Result<Arguments, clap::Error> {
    let matches = command::<T>(defaults).try_get_matches_from(args)?;
    let mut given = Vec::new();
    for (key, _) in T::FIELDS {
        if let Some(text) = matches.get_one::<String>(key) {
            given.push(Given {
                key: (*key).to_owned(),
                text: Text::Untyped(text.clone()),
                source: format!("--{}", flag(key)),
            });
        }
    }
    Ok(Arguments {
        config: matches.get_one::<PathBuf>(CONFIG).cloned(),
        print: matches.get_flag(PRINT),
        given,
    })
}

fn command<T: Settings>(defaults: &Dict) -> Command {
    let mut command = Command::new(T::PROGRAM)
        .about(T::ABOUT)
        .version(T::VERSION)
        .after_help(format!(
            "Precedence: defaults, then the file, then the environment, then the command line.\n\
             RUST_LOG filters the log, CHATTERBOX_LOG_FORMAT is `text` or `json`, and\n\
             OTEL_EXPORTER_OTLP_ENDPOINT sends traces. {}CONFIG names the file, too.",
            T::PREFIX
        ))
        .arg(
            Arg::new(CONFIG)
                .long(CONFIG)
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help("A TOML file with the settings below."),
        )
        .arg(
            Arg::new(PRINT)
                .long(PRINT)
                .action(ArgAction::SetTrue)
                .help("Print the effective configuration as TOML and stop."),
        );
    for (key, doc) in T::FIELDS {
        let default = match defaults.get(*key).and_then(render::literal) {
            Some(_) if T::SECRETS.contains(key) => String::new(),
            Some(value) => format!(" [default: {value}]"),
            None => String::new(),
        };
        let mut arg = Arg::new(*key)
            .long(flag(key))
            .value_name("VALUE")
            .allow_hyphen_values(true)
            .help(format!("{doc}{default} [env: {}]", variable::<T>(key)));
        if matches!(defaults.get(*key), Some(Value::Bool(..))) {
            // `--flag` alone means yes; `--flag=false` is how a yes of the file is undone.
            arg = arg
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true");
        }
        command = command.arg(arg);
    }
    command
}

/// clap's error without its usage lines, on one line.
pub(super) fn sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let words: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty())
        .collect();
    words.join("; ").trim_start_matches("error: ").to_owned()
}

/// Every variable with the prefix. An empty one counts as absent: compose files write
/// `X: ${X:-}` for what the operator may leave out.
pub(super) fn environment<T: Settings>(
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> Environment {
    let mut found = Environment {
        config: None,
        given: Vec::new(),
    };
    for (name, value) in env {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else {
            continue;
        };
        let Some(key) = name.strip_prefix(T::PREFIX) else {
            continue;
        };
        if value.is_empty() || is_service_link(key, value) {
            continue;
        }
        if key.eq_ignore_ascii_case(CONFIG) {
            found.config = Some(PathBuf::from(value));
            continue;
        }
        found.given.push(Given {
            key: key.to_ascii_lowercase(),
            text: Text::Untyped(value.to_owned()),
            source: name.to_owned(),
        });
    }
    // The order of an environment is not defined; faults should come in the same order always.
    found.given.sort_by(|a, b| a.key.cmp(&b.key));
    found
}

/// Kubernetes gives every pod variables for every Service of its namespace: a Service named
/// `chatterbox-replica` makes `CHATTERBOX_REPLICA_PORT=tcp://…`. They are no settings.
fn is_service_link(key: &str, value: &str) -> bool {
    let port = key == "PORT" || key.starts_with("PORT_");
    key == "SERVICE_HOST"
        || key == "SERVICE_PORT"
        || key.starts_with("SERVICE_PORT_")
        || (port && (value.starts_with("tcp://") || value.starts_with("udp://")))
        || (key.starts_with("PORT_") && (key.contains("_TCP_") || key.contains("_UDP_")))
}

pub(super) fn file(path: &Path, faults: &mut Faults) -> Vec<Given> {
    let source = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            faults.add(
                source,
                format!("cannot read the configuration file: {error}"),
            );
            return Vec::new();
        }
    };
    match Toml::from_str::<Dict>(&text) {
        Ok(dict) => dict
            .into_iter()
            .map(|(key, value)| Given {
                key,
                text: Text::Typed(value),
                source: source.clone(),
            })
            .collect(),
        Err(error) => {
            faults.add(
                source,
                format!("not valid TOML: {}", error.to_string().trim()),
            );
            Vec::new()
        }
    }
}

/// What a text may mean: itself, the number or literal that it looks like, a list.
pub(super) fn readings(text: &str) -> Vec<Value> {
    let literal = |text: &str| text.parse::<Value>().unwrap_or_else(|_| Value::from(text));
    let items = || {
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
    };
    let words = items().map(Value::from).collect();
    let literals = items().map(literal).collect();
    vec![
        Value::from(text),
        literal(text.trim()),
        Value::Array(Tag::Default, words),
        Value::Array(Tag::Default, literals),
    ]
}

fn flag(key: &str) -> String {
    key.replace('_', "-")
}

fn variable<T: Settings>(key: &str) -> String {
    format!("{}{}", T::PREFIX, key.to_ascii_uppercase())
}
