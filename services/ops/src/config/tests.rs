//! Goal: a wrong setting never starts a service, and the operator sees all of them at once.

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Faults, Loaded, Request, Settings, load};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sample {
    listen: SocketAddr,
    name: String,
    timeout_ms: u64,
    verbose: bool,
    data: PathBuf,
    peers: Vec<String>,
    ports: Vec<u16>,
    file: Option<String>,
    limit: Option<u64>,
    token: String,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 1050)),
            name: "one".to_owned(),
            timeout_ms: 100,
            verbose: false,
            data: PathBuf::from("./data"),
            peers: Vec::new(),
            ports: Vec::new(),
            file: None,
            limit: None,
            token: String::new(),
        }
    }
}

impl Settings for Sample {
    const PROGRAM: &'static str = "sample";
    const PREFIX: &'static str = "CHATTERBOX_SAMPLE_";
    const ABOUT: &'static str = "A sample.";
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("listen", "Where it listens."),
        ("name", "Its name."),
        ("timeout_ms", "How long it waits."),
        ("verbose", "Whether it talks."),
        ("data", "Where its files are."),
        ("peers", "Whom it knows."),
        ("ports", "What it opens."),
        ("file", "An optional text."),
        ("limit", "An optional number."),
        ("token", "A secret."),
    ];
    const SECRETS: &'static [&'static str] = &["token"];

    fn validate(&self, faults: &mut Faults) {
        faults.check(self.timeout_ms > 0, "timeout_ms", "must be at least 1");
        faults.check(!self.name.is_empty(), "name", "must not be empty");
    }
}

fn request(args: &[&str], env: &[(&str, &str)]) -> Result<Request<Sample>, Faults> {
    let args = std::iter::once("sample")
        .chain(args.iter().copied())
        .map(OsString::from);
    let env = env
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    load::<Sample>(args.collect::<Vec<_>>(), env.collect::<Vec<_>>())
}

fn run(args: &[&str], env: &[(&str, &str)]) -> Loaded<Sample> {
    match request(args, env) {
        Ok(Request::Run(loaded)) => loaded,
        other => panic!("{other:?}"),
    }
}

fn faults(args: &[&str], env: &[(&str, &str)]) -> String {
    request(args, env)
        .err()
        .map(|faults| faults.to_string())
        .expect("must be refused")
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("temporary file");
    file.write_all(text.as_bytes()).expect("write");
    file
}

#[test]
fn later_sources_win() {
    let file = file("name = 'file'\ntimeout_ms = 1\nverbose = true\nports = [1, 2]\n");
    let path = file.path().to_str().expect("path");
    let env = [
        ("CHATTERBOX_SAMPLE_CONFIG", path),
        ("CHATTERBOX_SAMPLE_TIMEOUT_MS", "2"),
        ("CHATTERBOX_SAMPLE_VERBOSE", "false"),
        ("OTHER_NAME", "ignored"),
    ];
    let settings = run(&["--verbose", "--listen", "0.0.0.0:9"], &env).into_settings();
    let expected = Sample {
        name: "file".to_owned(),
        timeout_ms: 2,
        verbose: true,
        ports: vec![1, 2],
        listen: SocketAddr::from(([0, 0, 0, 0], 9)),
        ..Sample::default()
    };
    assert_eq!(settings, expected);
    assert_eq!(run(&[], &[]).into_settings(), Sample::default());
}

#[test]
fn the_types_of_the_struct_decide() {
    let env = [
        ("CHATTERBOX_SAMPLE_NAME", "1234"),
        ("CHATTERBOX_SAMPLE_PEERS", "a:1, b:2"),
        ("CHATTERBOX_SAMPLE_PORTS", "7,8"),
        ("CHATTERBOX_SAMPLE_FILE", "true"),
        ("CHATTERBOX_SAMPLE_LIMIT", "5"),
        ("CHATTERBOX_SAMPLE_TOKEN", ""),
    ];
    let settings = run(&["--data", "/tmp/x"], &env).into_settings();
    assert_eq!(settings.name, "1234");
    assert_eq!(settings.peers, ["a:1", "b:2"]);
    assert_eq!(settings.ports, [7, 8]);
    assert_eq!(settings.file.as_deref(), Some("true"));
    assert_eq!(settings.limit, Some(5));
    assert_eq!(settings.data, PathBuf::from("/tmp/x"));
    assert_eq!(settings.token, "", "an empty variable counts as absent");
}

#[test]
fn says_every_fault_at_once() {
    let file = file("nmae = 'x'\ntimeout_ms = 'soon'\n");
    let path = file.path().to_str().expect("path");
    let env = [
        ("CHATTERBOX_SAMPLE_CONFIG", path),
        ("CHATTERBOX_SAMPLE_LISTNE", "x"),
        ("CHATTERBOX_SAMPLE_PORTS", "70000"),
        ("CHATTERBOX_SAMPLE_NAME", ""),
    ];
    let text = faults(&["--listen", "here", "--timeout-ms", "0"], &env);
    for part in [
        "sample: 6 faults",
        "unknown setting `nmae`; did you mean `name`?",
        "timeout_ms: \"soon\" from /",
        "cannot be used: invalid type: found string \"soon\", expected u64",
        "CHATTERBOX_SAMPLE_LISTNE: unknown setting `listne`; did you mean `listen`?",
        "ports: `70000` from CHATTERBOX_SAMPLE_PORTS cannot be used: invalid value unsigned int",
        "listen: `here` from --listen cannot be used: invalid socket address syntax",
        "timeout_ms: must be at least 1",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn a_number_out_of_range_is_named() {
    let text = faults(&["--timeout-ms", "-1"], &[]);
    assert!(text.contains("-1") && text.contains("u64"), "{text}");
}

#[test]
fn an_unknown_flag_names_the_nearest() {
    let text = faults(&["--listn", "x"], &[]);
    assert!(
        text.contains("--listn") && text.contains("--listen"),
        "{text}"
    );
}

#[test]
fn the_service_links_of_kubernetes_are_no_settings() {
    let env = [
        ("CHATTERBOX_SAMPLE_SERVICE_HOST", "10.0.0.1"),
        ("CHATTERBOX_SAMPLE_SERVICE_PORT_HTTP", "1050"),
        ("CHATTERBOX_SAMPLE_PORT", "tcp://10.0.0.1:1050"),
        ("CHATTERBOX_SAMPLE_PORT_1050_TCP_ADDR", "10.0.0.1"),
    ];
    assert_eq!(run(&[], &env).into_settings(), Sample::default());
}

#[test]
fn a_missing_or_broken_file_is_a_fault() {
    assert!(faults(&["--config", "/nowhere/x.toml"], &[]).contains("cannot read"));
    let file = file("name = \n");
    let path = file.path().to_str().expect("path").to_owned();
    assert!(faults(&["--config", &path], &[]).contains("not valid TOML"));
}

#[test]
fn secrets_are_hidden_everywhere() {
    let env = [("CHATTERBOX_SAMPLE_TOKEN", "hunter2")];
    let loaded = run(&[], &env);
    assert_eq!(loaded.settings().token, "hunter2");
    assert!(!loaded.to_toml().contains("hunter2"));
    let Ok(Request::Print(help)) = request(&["--help"], &env) else {
        panic!("no help")
    };
    assert!(!help.contains("hunter2"));
}

#[test]
fn the_printed_configuration_loads_to_the_same() {
    let args = [
        "--name",
        "a \"b\"\t",
        "--peers",
        "x,y",
        "--limit",
        "3",
        "--verbose",
    ];
    let loaded = run(&args, &[]);
    let file = file(&loaded.to_toml());
    let path = file.path().to_str().expect("path").to_owned();
    let again = run(&["--config", &path], &[]);
    assert_eq!(again.settings(), loaded.settings());
}

#[test]
fn help_lists_every_key_with_doc_default_and_variable() {
    let Ok(Request::Print(help)) = request(&["--help"], &[]) else {
        panic!("no help")
    };
    for part in [
        "--timeout-ms",
        "How long it waits.",
        "[default: 100]",
        "CHATTERBOX_SAMPLE_LISTEN",
    ] {
        assert!(help.contains(part), "{part} is not in:\n{help}");
    }
}
