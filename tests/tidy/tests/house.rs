//! The rules of the house. Each failure says why the rule exists.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Result, ensure};
use tidy::{files, metadata, root};

const LINES_MAX: usize = 500;

fn report(rule: &str, why: &str, broken: &[String]) -> Result<()> {
    ensure!(
        broken.is_empty(),
        "{rule}\n({why})\n  {}",
        broken.join("\n  ")
    );
    Ok(())
}

/// A module that does not fit into a head hides what it does.
#[test]
fn modules_are_short() -> Result<()> {
    let broken: Vec<String> = files()?
        .iter()
        .filter(|file| {
            file.path.ends_with(".rs") || file.path.ends_with(".ts") || file.path.ends_with(".tsx")
        })
        // What is generated is as long as what it is made from.
        .filter(|file| !file.path.starts_with("web/src/generated/"))
        .filter(|file| file.text.lines().count() > LINES_MAX)
        .map(|file| format!("{} has {} lines", file.path, file.text.lines().count()))
        .collect();
    report(
        "modules have at most 500 lines",
        "split by concern, not by size",
        &broken,
    )
}

/// Each Rust file says in its first line what it is for.
#[test]
fn modules_say_what_they_are() -> Result<()> {
    let broken: Vec<String> = files()?
        .iter()
        .filter(|file| file.path.ends_with(".rs") && !file.text.starts_with("//!"))
        .map(|file| file.path.clone())
        .collect();
    report(
        "a Rust file begins with //!",
        "a reader decides in five seconds",
        &broken,
    )
}

/// Names that say nothing gather what has no home.
#[test]
fn names_say_something() -> Result<()> {
    let banned = [
        "utils", "util", "common", "helpers", "helper", "manager", "misc",
    ];
    let broken: Vec<String> = files()?
        .iter()
        .filter(|file| {
            file.path.split('/').any(|part| {
                let stem = part.split('.').next().unwrap_or(part);
                banned.contains(&stem.to_lowercase().as_str())
            })
        })
        .map(|file| file.path.clone())
        .collect();
    report(
        "no utils, common, helpers, manager",
        "give it the name of what it does",
        &broken,
    )
}

/// What is not done is done or named in an issue, not left in the code.
#[test]
fn nothing_is_left_over() -> Result<()> {
    // Written apart, so that this file does not find itself.
    let banned = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["XX", "X:"],
        ["unimpl", "emented!"],
        ["dbg", "!("],
    ]
    .map(|p| p.concat());
    let code = [
        ".rs", ".ts", ".tsx", ".proto", ".yaml", ".yml", ".css", ".sh", "Makefile",
    ];
    let mut broken = Vec::new();
    for file in files()?
        .iter()
        .filter(|file| code.iter().any(|end| file.path.ends_with(end)))
    {
        for (number, line) in file.text.lines().enumerate() {
            if banned.iter().any(|word| line.contains(word.as_str())) {
                broken.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    report("nothing left over", "open an issue instead", &broken)
}

/// A clone must build elsewhere: no path of a machine, no download address in a lock file.
#[test]
fn nothing_of_one_machine() -> Result<()> {
    let mut broken = Vec::new();
    for file in files()? {
        let lock = file.path.ends_with("package-lock.json");
        for (number, line) in file.text.lines().enumerate() {
            let path = ["/wo", "/ro", "/fa"]
                .iter()
                .zip(["rk/", "ot/", "rm/"])
                .any(|(a, b)| {
                    line.split(['"', '\'', ' ', '=', '('])
                        .any(|word| word.starts_with(&format!("{a}{b}")))
                });
            if path || (lock && line.contains("\"resolved\"")) {
                broken.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    report(
        "no path of a machine, no download address",
        "a clone must build elsewhere",
        &broken,
    )
}

/// The arrows of the architecture: the protocol knows nothing of us, services never import
/// each other.
#[test]
fn dependencies_point_one_way() -> Result<()> {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("paxos", &[][..]),
        ("proto", &[]),
        ("ops", &[]),
        ("tls", &[]),
        ("wal", &["paxos"]),
        ("machine", &["paxos", "proto"]),
        ("archive", &["paxos", "wal", "machine", "proto"]),
        (
            "replica",
            &["paxos", "wal", "machine", "proto", "ops", "tls"],
        ),
        ("gateway", &["proto", "ops", "tls"]),
        ("membership", &["proto", "ops", "tls"]),
        ("chatterctl", &["proto", "ops", "tls", "archive"]),
    ]);
    let metadata = metadata()?;
    let none = Vec::new();
    let packages = metadata["packages"].as_array().unwrap_or(&none);
    ensure!(
        packages.len() >= allowed.len(),
        "cargo metadata names {} packages",
        packages.len()
    );
    let names: Vec<&str> = packages
        .iter()
        .filter_map(|package| package["name"].as_str())
        .collect();
    let mut broken = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(may) = allowed.get(name) else {
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap_or(&none) {
            let other = dependency["name"].as_str().unwrap_or_default();
            let normal = dependency["kind"].is_null();
            if normal && names.contains(&other) && !may.contains(&other) {
                broken.push(format!("{name} must not depend on {other}"));
            }
        }
    }
    report(
        "dependencies point one way",
        "see ARCHITECTURE.md, Invariants",
        &broken,
    )
}

/// The core has no clock, no I/O, no threads: the compiler proves it by `no_std`, and nothing
/// that has them is among its dependencies.
#[test]
fn the_core_is_pure() -> Result<()> {
    let lib = std::fs::read_to_string(root().join("services/replica/paxos/src/lib.rs"))?;
    ensure!(lib.contains("#![no_std]"), "paxos is no_std");
    let output = Command::new("cargo")
        .args([
            "tree",
            "-p",
            "paxos",
            "-e",
            "normal",
            "--prefix",
            "none",
            "--offline",
        ])
        .current_dir(root())
        .output()?;
    let tree = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let broken: Vec<String> = tree
        .lines()
        .filter(|line| {
            ["tokio", "rand", "rusqlite", "tonic", "getrandom"]
                .iter()
                .any(|name| line.split(' ').next() == Some(name))
        })
        .map(str::to_owned)
        .collect();
    report(
        "the core is pure",
        "it must be simulated and model-checked",
        &broken,
    )
}

/// Every file that a document of ours points to exists.
#[test]
fn documents_point_to_what_exists() -> Result<()> {
    let mut broken = Vec::new();
    for file in files()?.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = root()
            .join(&file.path)
            .parent()
            .map(std::path::Path::to_path_buf)
            .unwrap_or_default();
        for link in file
            .text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap_or_default();
            let local = !target.is_empty() && !target.contains(':') && !target.contains(' ');
            if local && !folder.join(target).exists() {
                broken.push(format!("{}: {link}", file.path));
            }
        }
    }
    report(
        "links in documents hold",
        "a reader must not end in nothing",
        &broken,
    )
}

/// The settings of a program by their names in the environment, from its table of fields.
fn settings(program: &str, text: &str) -> Vec<String> {
    let table = text.split("const FIELDS").nth(1).unwrap_or_default();
    // A field is a pair of texts: its key is the first, in small letters without a space.
    let table = table.split("];").next().unwrap_or_default();
    table
        .split('(')
        .skip(1)
        .filter_map(|pair| pair.split('"').nth(1))
        .map(|key| format!("CHATTERBOX_{program}_{}", key.to_uppercase()))
        .collect()
}

/// Every setting that compose, Kubernetes, a script or a document names is one of its program.
#[test]
fn settings_have_the_names_of_their_programs() -> Result<()> {
    let all = files()?;
    let mut known = Vec::new();
    for (program, path) in [
        ("REPLICA", "services/replica/src/config.rs"),
        ("GATEWAY", "services/gateway/src/config.rs"),
        ("MEMBERSHIP", "services/membership/src/config.rs"),
    ] {
        let found = all.iter().find(|file| file.path == path);
        let own = found.map_or_else(Vec::new, |file| settings(program, &file.text));
        ensure!(own.len() > 5, "{path}: no table of settings was found");
        known.extend(own);
        // The file with all of them.
        known.push(format!("CHATTERBOX_{program}_CONFIG"));
    }
    let mut broken = Vec::new();
    for file in &all {
        let named = file.path.starts_with("docker/")
            || file.path.starts_with("k8s/")
            || file.path == "Makefile"
            || file.path.ends_with(".md")
            || file.path.ends_with(".sh");
        if !named {
            continue;
        }
        for word in file
            .text
            .split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        {
            let ours = ["REPLICA", "GATEWAY", "MEMBERSHIP"]
                .iter()
                .any(|program| word.starts_with(&format!("CHATTERBOX_{program}_")));
            // A prefix alone stands for all of them.
            if ours && !word.ends_with('_') && !known.iter().any(|one| one == word) {
                broken.push(format!("{}: {word}", file.path));
            }
        }
    }
    report(
        "settings are called as their programs call them",
        "a misspelt variable is a default that nobody chose",
        &broken,
    )
}
