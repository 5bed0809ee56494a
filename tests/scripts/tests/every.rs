//! Runs every script of this crate. `UPDATE=1` writes the traces anew.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

fn scripts() -> Result<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in std::fs::read_dir(root)? {
        let folder = folder?.path();
        if !folder.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(folder)? {
            let file = file?.path();
            if file
                .extension()
                .is_some_and(|extension| extension == "script")
            {
                found.push(file);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Goal: the protocol does what the scripts say, step by step, in this order.
#[test]
fn every_script_gives_its_trace() -> Result<()> {
    let update = std::env::var("UPDATE").is_ok_and(|value| value == "1");
    let only = std::env::var("SCRIPT").unwrap_or_default();
    let scripts = scripts()?;
    let mut failed = Vec::new();
    for script in scripts {
        if script.display().to_string().contains(&only)
            && let Err(error) = scripts::check(&script, update)
        {
            failed.push(format!("{error:#}"));
        }
    }
    // A panic, because an error would be followed by a backtrace that says nothing here.
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    Ok(())
}

/// Goal: a reader finds every script. Method: README.md links each one.
#[test]
fn the_readme_lists_every_script() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md"))?;
    for script in scripts()? {
        let name = script.strip_prefix(root)?.display().to_string();
        ensure!(
            readme.contains(&format!("]({name})")),
            "README.md does not list {name}"
        );
    }
    Ok(())
}

/// Goal: the same script gives the same trace. Method: run each twice.
#[test]
fn a_script_gives_the_same_trace_twice() -> Result<()> {
    for script in scripts()? {
        let text = std::fs::read_to_string(&script)?;
        let name = script.display().to_string();
        let first = scripts::run(&text).with_context(|| name.clone())?;
        ensure!(first == scripts::run(&text)?, "{name} differs from itself");
    }
    Ok(())
}
