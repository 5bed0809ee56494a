//! Configuration: defaults < TOML file < environment < command line, into one serde struct.
//!
//! Reads: arguments, environment, a file. Gives: [`Loaded`], or every fault at once.
//! Keys are flat: `listen` is `--listen`, `CHATTERBOX_X_LISTEN` and `listen = …`.
//! Tests: config/tests.rs

mod fault;
mod nearest;
mod render;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;

use figment::Figment;
use figment::providers::Serialized;
use figment::value::{Dict, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use fault::{Fault, Faults};
use source::{Given, Text};

/// The settings of one binary: a flat, documented struct.
///
/// Supported types of fields: strings, numbers, booleans, anything that serde reads from a
/// string (`SocketAddr`, `PathBuf`, `Uuid`, enums), `Option`s and lists of these. In the
/// environment and on the command line a list is written `a,b,c`.
pub trait Settings: Default + Serialize + DeserializeOwned {
    /// The binary's name, for messages and `--help`.
    const PROGRAM: &'static str;
    /// What its environment variables begin with, such as `CHATTERBOX_REPLICA_`.
    const PREFIX: &'static str;
    /// One sentence for `--help`.
    const ABOUT: &'static str;
    /// The version for `--version`.
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    /// Every key with its documentation, in the order in which people read them.
    const FIELDS: &'static [(&'static str, &'static str)];
    /// Keys whose values are never shown.
    const SECRETS: &'static [&'static str] = &[];

    /// Adds every fault of the values to `faults`; it must not stop at the first.
    fn validate(&self, faults: &mut Faults) {
        let _ = faults;
    }
}

/// A valid configuration, and where each value came from.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    settings: T,
    /// Key → the source that won; keys that kept their default are absent.
    sources: BTreeMap<&'static str, String>,
}

/// What the command line asked for.
#[derive(Debug, Clone)]
pub enum Request<T> {
    /// To run with this configuration.
    Run(Loaded<T>),
    /// To print this text (`--help`, `--version`, `--print-config`) and stop.
    Print(String),
}

/// Loads from the process's arguments and environment. Prints what was asked for and exits
/// with 0, or prints every fault and exits with 2.
#[must_use]
pub fn load_or_exit<T: Settings>() -> Loaded<T> {
    match load::<T>(std::env::args_os(), std::env::vars_os()) {
        Ok(Request::Run(loaded)) => loaded,
        Ok(Request::Print(text)) => {
            // Nothing can be done about a closed stdout here.
            let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
            std::process::exit(0);
        }
        Err(faults) => {
            let text = format!("{faults}\n");
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
            std::process::exit(2);
        }
    }
}

/// Loads from the given arguments (the first is the program's name) and environment.
pub fn load<T: Settings>(
    args: impl IntoIterator<Item = OsString>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Request<T>, Faults> {
    let defaults = defaults::<T>();
    let args = match source::arguments::<T>(args, &defaults) {
        Ok(args) => args,
        Err(error) if error.use_stderr() => {
            let mut faults = Faults::of(T::PROGRAM);
            faults.add("command line", source::sentence(&error));
            return Err(faults);
        }
        Err(help_or_version) => return Ok(Request::Print(help_or_version.render().to_string())),
    };
    let mut faults = Faults::of(T::PROGRAM);
    let env = source::environment::<T>(env);
    let file = args.config.as_ref().or(env.config.as_ref());
    let mut given = match file {
        Some(path) => source::file(path, &mut faults),
        None => Vec::new(),
    };
    given.extend(env.given);
    given.extend(args.given);
    let loaded = merge::<T>(&defaults, given, &mut faults);
    loaded.settings.validate(&mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    if args.print {
        return Ok(Request::Print(loaded.to_toml()));
    }
    Ok(Request::Run(loaded))
}

impl<T: Settings> Loaded<T> {
    /// The settings alone.
    #[must_use]
    pub fn into_settings(self) -> T {
        self.settings
    }

    /// The settings alone.
    #[must_use]
    pub fn settings(&self) -> &T {
        &self.settings
    }

    /// Logs the effective configuration in one line, secrets hidden.
    pub fn log(&self) {
        tracing::info!(
            program = T::PROGRAM,
            version = T::VERSION,
            "configuration: {}",
            render::line::<T>(&values(&self.settings), &self.sources)
        );
    }

    /// The effective configuration as a TOML file that says where each value came from.
    #[must_use]
    pub fn to_toml(&self) -> String {
        render::toml::<T>(&values(&self.settings), &self.sources)
    }
}

/// The defaults as values by key. Panics when `FIELDS` and the struct differ: a bug of the
/// program that every start of it shows.
fn defaults<T: Settings>() -> Dict {
    let dict = values(&T::default());
    let documented: Vec<&str> = T::FIELDS.iter().map(|(key, _)| *key).collect();
    for key in dict.keys() {
        assert!(
            documented.contains(&key.as_str()),
            "{}: {key} is not in FIELDS",
            T::PROGRAM
        );
    }
    for key in documented {
        assert!(
            dict.contains_key(key),
            "{}: FIELDS names {key}, no field does",
            T::PROGRAM
        );
    }
    dict
}

/// A settings struct as values by key.
fn values<T: Settings>(settings: &T) -> Dict {
    match Value::serialize(settings) {
        Ok(Value::Dict(_, dict)) => dict,
        Ok(other) => unreachable!("{}: settings serialise to {other:?}", T::PROGRAM),
        Err(error) => unreachable!("{}: settings do not serialise: {error}", T::PROGRAM),
    }
}

/// Puts the given values over the defaults, later ones over earlier ones. A value at fault is
/// reported and left out, so that the validation of the others still says all that it can.
fn merge<T: Settings>(defaults: &Dict, given: Vec<Given>, faults: &mut Faults) -> Loaded<T> {
    let mut merged = defaults.clone();
    let mut sources = BTreeMap::new();
    for Given { key, text, source } in given {
        let Some(known) = T::FIELDS
            .iter()
            .map(|(known, _)| *known)
            .find(|known| *known == key)
        else {
            faults.add(&source, unknown::<T>(&key));
            continue;
        };
        let shown = text.shown();
        match resolve::<T>(defaults, known, text) {
            Ok(value) => {
                merged.insert(known.to_owned(), value);
                sources.insert(known, source);
            }
            Err(_) if T::SECRETS.contains(&known) => {
                faults.add(known, format!("the value from {source} cannot be used"));
            }
            Err(words) => {
                faults.add(
                    known,
                    format!("{shown} from {source} cannot be used: {words}"),
                );
            }
        }
    }
    match extract::<T>(&merged) {
        Ok(settings) => Loaded { settings, sources },
        // Each value fits alone, so this is a rule over several fields in a `Deserialize`.
        Err(error) => {
            faults.add(T::PROGRAM, error.kind.to_string());
            Loaded {
                settings: T::default(),
                sources,
            }
        }
    }
}

/// The value that `T` takes for `key`. A text is tried as a string, as the literal that it
/// looks like, and as a list: the struct's types decide, not a guess.
fn resolve<T: Settings>(defaults: &Dict, key: &str, text: Text) -> Result<Value, String> {
    let fits = |value: &Value| {
        let mut dict = defaults.clone();
        dict.insert(key.to_owned(), value.clone());
        extract::<T>(&dict).map(drop)
    };
    let candidates = match text {
        Text::Typed(value) => vec![value],
        Text::Untyped(text) => source::readings(&text),
    };
    // Of the refusals, the one about the reading that is like the default says most.
    let alike = |value: &Value| {
        let default = defaults.get(key).map(std::mem::discriminant);
        default == Some(std::mem::discriminant(value))
    };
    let mut shown = None;
    for value in candidates {
        match fits(&value) {
            Ok(()) => return Ok(value),
            Err(error) => {
                if shown.is_none() || alike(&value) {
                    shown = Some(error.kind.to_string());
                }
            }
        }
    }
    Err(shown.unwrap_or_else(|| "no value".to_owned()))
}

fn extract<T: Settings>(dict: &Dict) -> Result<T, Box<figment::Error>> {
    Figment::from(Serialized::defaults(dict))
        .extract::<T>()
        .map_err(Box::new)
}

fn unknown<T: Settings>(key: &str) -> String {
    let known = T::FIELDS.iter().map(|(known, _)| *known);
    match nearest::nearest(key, known) {
        Some(near) => format!("unknown setting `{key}`; did you mean `{near}`?"),
        None => format!("unknown setting `{key}`; `{} --help` lists all", T::PROGRAM),
    }
}
