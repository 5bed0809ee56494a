//! The faults that `tests/chaos/planted.sh` plants in the product.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a panic is the report"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

/// So many planted faults `make chaos` has to find.
const AT_LEAST: usize = 5;

/// Property: a fault that does not fit the code any more is noticed by the change that made it so;
/// and each says in words what it is, how it is run, and what must be found.
#[test]
fn every_planted_fault_applies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().unwrap();
    let folder = root.join("tests/chaos/planted");
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "patch") {
            continue;
        }
        count += 1;
        let text = fs::read_to_string(&path).unwrap();
        for key in ["# fault: ", "# run: FAULTS=", "# finds: "] {
            let has = text.lines().any(|line| line.starts_with(key));
            assert!(has, "{} has no line `{key}…`", path.display());
        }
        let checked = Command::new("git")
            .args(["apply", "--check"])
            .arg(&path)
            .current_dir(&root)
            // Another repository around this one is not the one that is meant.
            .env("GIT_CEILING_DIRECTORIES", root.parent().unwrap())
            .output()
            .expect("git is there");
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{}: {said}", path.display());
    }
    assert!(count >= AT_LEAST, "{count} planted faults");
}
