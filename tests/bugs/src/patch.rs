//! One planted fault: a unified diff with a header that says where it is drawn from and what
//! must see it.
//!
//! ```text
//! # name: a vote is sent before its rows are on disk
//! # trap: trap 1, reply before durable
//! # expect: I6
//! # run: test -p wal --test faults        (optional; the simulator by default)
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::detector::Detector;

/// A planted fault.
#[derive(Clone, Debug)]
pub(crate) struct Patch {
    /// The file's name without `.patch`: a number of three digits and a few words.
    pub(crate) file: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What the fault is, in one sentence.
    pub(crate) name: String,
    /// The trap, paper or issue that it is drawn from.
    pub(crate) trap: String,
    /// What is to see it: names of invariants, `self-check`, or of a test.
    pub(crate) expect: Vec<String>,
    /// What is run, in order, until one sees it.
    pub(crate) detectors: Vec<Detector>,
}

/// All patches of a folder, by number.
pub(crate) fn all(folder: &Path) -> Result<Vec<Patch>> {
    let mut patches = Vec::new();
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "patch")
        {
            let text = std::fs::read_to_string(&path)?;
            let patch = parse(&path, &text);
            patches.push(patch.with_context(|| format!("the header of {}", path.display()))?);
        }
    }
    patches.sort_by(|left, right| left.file.cmp(&right.file));
    for (one, next) in patches.iter().zip(patches.iter().skip(1)) {
        let numbers = (one.file.get(..3), next.file.get(..3));
        ensure!(
            numbers.0 != numbers.1,
            "{} and {} have one number",
            one.file,
            next.file
        );
    }
    Ok(patches)
}

fn parse(path: &Path, text: &str) -> Result<Patch> {
    let file = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default()
        .to_owned();
    let number = file.get(..3).unwrap_or_default();
    ensure!(
        number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit()),
        "the name begins with three digits"
    );
    let all_of = |key: &str| {
        let key = format!("# {key}: ");
        let header = text.lines().take_while(|line| line.starts_with('#'));
        header.filter_map(move |line| line.strip_prefix(key.as_str()).map(str::to_owned))
    };
    let one = |key: &str| {
        all_of(key)
            .next()
            .with_context(|| format!("no `# {key}: `"))
    };
    let mut detectors: Vec<Detector> = all_of("run").map(|run| Detector::parse(&run)).collect();
    if detectors.is_empty() {
        detectors.push(Detector::Simulator);
    }
    Ok(Patch {
        name: one("name")?,
        trap: one("trap")?,
        expect: one("expect")?.split(" or ").map(str::to_owned).collect(),
        detectors,
        path: path.to_owned(),
        file,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{all, parse};
    use crate::copy::check;
    use crate::detector::Detector;
    use crate::root;

    /// DESIGN, section 4: so many planted faults for a release.
    const AT_LEAST: usize = 40;

    #[test]
    fn a_header_says_what_must_see_the_fault() {
        let text = "# name: a\n# trap: b\n# expect: I1 or self-check\n\ndiff\n# name: c\n";
        let patch = parse(Path::new("012-x.patch"), text).unwrap();
        assert_eq!((patch.file.as_str(), patch.name.as_str()), ("012-x", "a"));
        assert_eq!(patch.expect, ["I1", "self-check"]);
        assert_eq!(patch.detectors, [Detector::Simulator]);
        let two = text.replace("\n\ndiff", "\n# run: test -p wal\n# run: simulator\n\ndiff");
        let patch = parse(Path::new("012-x.patch"), &two).unwrap();
        let words = ["-p", "wal"].map(str::to_owned).into();
        assert_eq!(
            patch.detectors,
            [Detector::Test(words), Detector::Simulator]
        );
        for (name, text) in [
            ("12-x.patch", text),
            ("012-x.patch", "# name: a\n# trap: b\n"),
        ] {
            assert!(parse(Path::new(name), text).is_err(), "{name}: {text}");
        }
    }

    /// Goal: a fault that does not fit the code any more is noticed by the change that made it
    /// so, not a night later.
    #[test]
    fn every_patch_of_the_zoo_applies() {
        let patches = all(&root().join("tests/bugs")).unwrap();
        assert!(
            patches.len() >= AT_LEAST,
            "{} planted faults",
            patches.len()
        );
        let stale: Vec<String> = patches
            .iter()
            .filter_map(|patch| check(&root(), patch).err())
            .map(|error| format!("{error:#}"))
            .collect();
        assert!(
            stale.is_empty(),
            "these do not apply:\n{}",
            stale.join("\n")
        );
    }
}
