//! Draws the report of an old run again: `report RUN.json` writes `report.html`, `report.svg`
//! and `report.md` beside it.

use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use chaos::record::Record;
use chaos::report;

fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1);
    let (Some(path), None) = (arguments.next(), arguments.next()) else {
        bail!("give one file: report RUN.json");
    };
    let path = Path::new(&path);
    let text = fs::read_to_string(path)
        .with_context(|| format!("read {}: give the run.json of a run", path.display()))?;
    let record: Record = serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is no record of a run: draw it with the version that wrote it",
            path.display()
        )
    })?;
    let files = [
        ("report.html", report::html(&record)),
        ("report.svg", report::svg(&record)),
        ("report.md", report::markdown(&record)),
    ];
    for (name, text) in files {
        let to = path.with_file_name(name);
        fs::write(&to, text)
            .with_context(|| format!("write {}: is the folder writable?", to.display()))?;
        eprintln!("wrote {}", to.display());
    }
    Ok(())
}
