//! `make chaos`: see `chaos --help`.

#![allow(clippy::print_stdout, reason = "what it says is what it is for")]

use std::process::ExitCode;

use anyhow::Result;
use chaos::ground::compose::Compose;
use chaos::ground::kubernetes::Kubernetes;
use chaos::ground::local::{Local, Size};
use chaos::limits::{REPLACE_AFTER_MS, REPLACE_PAUSE_MS};
use chaos::options::Options;
use chaos::progress::Said;
use chaos::{report, run, schedule, table};
use clap::Parser as _;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let options = Options::parse();
    options.validate()?;
    if options.plan {
        for step in schedule::draw(options.seed, options.length_ms(), &options.kinds()) {
            let (kind, hold) = (step.kind.name(), step.hold_ms);
            println!("{:>8} ms  {kind:<18} for {hold} ms", step.at_ms);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let folder = options.folder();
    std::fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let said = Said::new(&folder.join("run.log"))?;
    // A run of minutes cannot wait as long as an operator would.
    let membership = [
        (
            "CHATTERBOX_MEMBERSHIP_REPLACE_AFTER_MS",
            REPLACE_AFTER_MS.to_string(),
        ),
        (
            "CHATTERBOX_MEMBERSHIP_CHANGE_PAUSE_MS",
            REPLACE_PAUSE_MS.to_string(),
        ),
    ];
    let record = match options.mode.as_str() {
        "compose" => {
            let ground = Compose::start(&folder, options.replicas, &membership).await?;
            run::run(&options, ground, &folder, &said).await?
        }
        "k8s" => {
            let (replicas, gateways) = (options.replicas, options.gateways);
            let ground = Kubernetes::start(&folder, replicas, gateways, &membership).await?;
            run::run(&options, ground, &folder, &said).await?
        }
        _ => {
            let size = Size {
                replicas: options.replicas,
                gateways: options.gateways,
            };
            let ground = Local::start(&folder, size, &membership).await?;
            run::run(&options, ground, &folder, &said).await?
        }
    };
    std::fs::write(folder.join("run.json"), serde_json::to_vec(&record)?)?;
    std::fs::write(folder.join("report.html"), report::html(&record))?;
    std::fs::write(folder.join("report.svg"), report::svg(&record))?;
    std::fs::write(folder.join("report.md"), report::markdown(&record))?;
    println!("{}", table::table(&record));
    println!(
        "Everything is kept in {}; the report is report.html there.",
        folder.display()
    );
    Ok(if record.verdict.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
