//! Goal: the local cluster's life from the outside, without the real services. Method: the real
//! `chatterctl` beside programs that only sleep, so that nothing ever becomes ready.

#![allow(clippy::expect_used, reason = "a test may stop at once")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A directory with `chatterctl` and three fakes. Stopped and deleted at the end.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new(fakes: &[&str]) -> Self {
        let place = Self {
            directory: tempfile::tempdir().expect("directory"),
        };
        let this = env!("CARGO_BIN_EXE_chatterctl");
        // A copy, because the directory of the program decides which others it starts.
        let copied = fs::hard_link(this, place.program());
        copied
            .or_else(|_| fs::copy(this, place.program()).map(drop))
            .expect("chatterctl");
        for fake in fakes {
            let path = place.directory.path().join(fake);
            fs::write(&path, "#!/bin/sh\necho \"$0 runs\"\nexec sleep 600\n").expect("fake");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
        }
        place
    }

    fn program(&self) -> PathBuf {
        self.directory.path().join("chatterctl")
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(self.program());
        command
            .args(args)
            .current_dir(self.directory.path())
            .env_remove("CHATTERBOX_DATA");
        command.output().expect("runs")
    }

    fn state(&self) -> Value {
        let path = self.directory.path().join("data/cluster.json");
        let text = fs::read_to_string(path).expect("cluster.json");
        serde_json::from_str(&text).expect("json")
    }

    fn pid(&self, name: &str) -> Option<u64> {
        let state = self.state();
        let processes = state["processes"].as_array().expect("processes");
        processes.iter().find(|process| process["name"] == name)?["pid"].as_u64()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.run(&["down"]);
    }
}

const ALL: [&str; 3] = ["membership", "replica", "gateway"];

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The first of 20 ports in a row that are free. Tests of one machine run side by side, and those
/// of this process have not bound theirs yet when the next one looks: each begins elsewhere.
fn ports() -> u16 {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let calls = CALLS.fetch_add(1, Ordering::Relaxed);
    let process = u16::try_from(std::process::id() % 100).expect("small");
    let start = 12_000 + process * 200 + calls * 20;
    // Below the ports that the kernel gives to connections.
    (start..32_700)
        .step_by(20)
        .find(|first| (*first..first + 20).all(free))
        .expect("free ports")
}

fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !reached() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_program_that_is_not_built_is_named() {
    let place = Place::new(&["membership", "gateway"]);
    let output = place.run(&["up"]);
    assert!(!output.status.success());
    let said = stderr(&output);
    assert!(
        said.contains("replica is missing") && said.contains("cargo build"),
        "{said}"
    );
}

#[test]
fn a_port_in_use_is_named_with_the_remedy() {
    let place = Place::new(&ALL);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let output = place.run(&["up", "--base-port", &port, "--port", &ports().to_string()]);
    let said = stderr(&output);
    assert!(
        !output.status.success() && said.contains(&format!("port {port} (r1)")),
        "{said}"
    );
    assert!(said.contains("chatterctl up --port"), "{said}");
}

#[test]
fn the_life_of_a_cluster() {
    let place = Place::new(&ALL);
    let port = ports().to_string();
    let output = place.run(&["up", "--port", &port, "--timeout", "1"]);
    let said = stderr(&output);
    assert!(
        !output.status.success() && said.contains("not ready within 1 s"),
        "{said}"
    );
    assert!(said.contains("runs"), "the end of the log is shown: {said}");

    let again = place.run(&["up"]);
    assert!(
        again.status.success() && stdout(&again).contains("runs already"),
        "{again:?}"
    );

    let first = place.pid("r2").expect("runs");
    let killed = place.run(&["kill", "r2"]);
    assert!(killed.status.success(), "{killed:?}");
    until("restarted", || {
        place.pid("r2").is_some_and(|pid| pid != first)
    });
    let wrong = place.run(&["kill", "r9"]);
    assert!(
        stderr(&wrong).contains("there is no process `r9`"),
        "{wrong:?}"
    );

    let status = place.run(&["status", "--json"]);
    assert!(!status.status.success(), "no quorum is a failure");
    let view: Value = serde_json::from_str(&stdout(&status)).expect("json");
    assert_eq!(view["quorum"], false);
    assert_eq!(view["replicas"].as_array().map(Vec::len), Some(3));
    assert_eq!(view["replicas"][0]["role"], "unreachable");
    assert_eq!(view["membership"]["reachable"], false);

    let logs = stdout(&place.run(&["logs"]));
    assert!(
        logs.contains("r1         | ") && logs.contains("gateway-1  | "),
        "{logs}"
    );
    let purge = place.run(&["purge", "--yes"]);
    assert!(
        !purge.status.success() && stderr(&purge).contains("down"),
        "{purge:?}"
    );

    let pids: Vec<u64> = ["membership", "r1", "r2", "r3", "gateway-1"]
        .iter()
        .filter_map(|name| place.pid(name))
        .collect();
    assert_eq!(pids.len(), 5);
    let down = place.run(&["down"]);
    assert!(
        down.status.success() && stdout(&down).contains("Stopped"),
        "{down:?}"
    );
    for pid in pids {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(!state.contains("(sleep)"), "{pid} still runs");
    }
    assert!(stdout(&place.run(&["down"])).contains("Nothing runs"));

    let other = place.run(&["up", "--replicas", "5"]);
    assert!(stderr(&other).contains("is of 3 replicas"), "{other:?}");
    let purge = place.run(&["purge", "--yes"]);
    assert!(purge.status.success(), "{purge:?}");
    assert!(!place.directory.path().join("data").exists());
}

#[test]
fn the_foreground_stops_by_a_signal() {
    let place = Place::new(&ALL);
    let port = ports().to_string();
    let mut child = Command::new(place.program())
        .args(["up", "--foreground", "--port", &port])
        .current_dir(place.directory.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("starts");
    let started = || place.directory.path().join("data/cluster.json").exists();
    until("started", || started() && place.pid("gateway-1").is_some());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("signalled");
    assert!(child.wait().expect("ends").success());
    assert_eq!(place.pid("r1"), None);
}
