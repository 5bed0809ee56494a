//! The command line.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;

use crate::clock::now_rfc3339;
use crate::kind::Kind;
use crate::limits::{MINUTES_MAX, PROCESSES_MAX};

/// Kills, cuts off, wipes and replaces nodes of a real cluster under load, then proves from the
/// histories of all clients and from all logs that nothing was lost. Exit status 1: something was.
#[derive(Clone, Debug, Parser)]
#[command(name = "chaos", version, after_help = kinds())]
pub struct Options {
    /// Where the cluster runs.
    #[arg(long, default_value = "local", value_parser = ["local", "compose", "k8s"])]
    pub mode: String,
    /// How long the load is on.
    #[arg(long, default_value_t = 2.0)]
    pub minutes: f64,
    /// What the faults are drawn from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Kinds of faults, as a list with commas; all when it is not given.
    #[arg(long, value_delimiter = ',')]
    pub faults: Vec<Kind>,
    /// Voters, 1 to 7.
    #[arg(long, default_value_t = 5)]
    pub replicas: usize,
    /// Gateways.
    #[arg(long, default_value_t = 2)]
    pub gateways: usize,
    /// Replicas that wait to replace one.
    #[arg(long, default_value_t = 1)]
    pub standbys: usize,
    /// People who write.
    #[arg(long, default_value_t = 40)]
    pub clients: usize,
    /// Messages per second that each of them wants to write.
    #[arg(long, default_value_t = 9.0)]
    pub rate: f64,
    /// Rooms that they write to.
    #[arg(long, default_value_t = 6)]
    pub rooms: usize,
    /// Where histories, logs and report go; `target/chaos/SEED-TIME` when it is not given.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Fail when fewer kinds of faults were installed: a run in which little happened proves
    /// little.
    #[arg(long, default_value_t = 0)]
    pub at_least_kinds: usize,
    /// Fail when fewer nodes were killed for good and replaced.
    #[arg(long, default_value_t = 0)]
    pub at_least_replaced: u32,
    /// Print the plan of the faults and end.
    #[arg(long)]
    pub plan: bool,
}

fn kinds() -> String {
    let mut text = "Faults:\n".to_owned();
    for kind in Kind::ALL {
        text.push_str(&format!("  {:<18} {}\n", kind.name(), kind.what()));
    }
    text
}

impl Options {
    /// The kinds that may be drawn.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        if !self.faults.is_empty() {
            return self.faults.clone();
        }
        let here = |kind: &Kind| self.mode == "k8s" || !kind.needs_kubernetes();
        Kind::ALL.iter().copied().filter(here).collect()
    }

    /// How long the load is on, in milliseconds.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "validated to be positive and below a week"
    )]
    pub fn length_ms(&self) -> u64 {
        (self.minutes * 60_000.0) as u64
    }

    /// Where everything of this run goes.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| {
            let time = now_rfc3339().replace([':', '-'], "");
            PathBuf::from(format!("target/chaos/{}-{time}", self.seed))
        })
    }

    /// Refuses what cannot be.
    ///
    /// # Errors
    /// Names the option and its range.
    pub fn validate(&self) -> Result<()> {
        ensure!(
            self.minutes > 0.0 && self.minutes <= MINUTES_MAX,
            "--minutes {}: must be above 0 and at most {MINUTES_MAX}",
            self.minutes
        );
        ensure!(
            (1..=7).contains(&self.replicas),
            "--replicas {}: must be 1 to 7",
            self.replicas
        );
        ensure!(
            (1..=PROCESSES_MAX).contains(&self.gateways),
            "--gateways {}: must be 1 to {PROCESSES_MAX}",
            self.gateways
        );
        ensure!(
            self.standbys <= PROCESSES_MAX,
            "--standbys {}: must be at most {PROCESSES_MAX}",
            self.standbys
        );
        ensure!(
            self.mode != "k8s" || self.standbys <= 1,
            "--standbys {}: at most 1 on Kubernetes, where of two more both would vote",
            self.standbys
        );
        for (name, value) in [("clients", self.clients), ("rooms", self.rooms)] {
            ensure!(
                (1..=10_000).contains(&value),
                "--{name} {value}: must be 1 to 10000"
            );
        }
        ensure!(
            self.rate > 0.0 && self.rate <= 9.0,
            "--rate {}: must be above 0 and at most 9",
            self.rate
        );
        Ok(())
    }

    /// The command that repeats the run.
    #[must_use]
    pub fn command(&self) -> String {
        let faults: Vec<&str> = self.faults.iter().map(|kind| kind.name()).collect();
        let faults = if faults.is_empty() {
            String::new()
        } else {
            format!(" FAULTS={}", faults.join(","))
        };
        format!(
            "make chaos MODE={} MINUTES={} SEED={} REPLICAS={} GATEWAYS={} STANDBYS={} CLIENTS={} \
             RATE={} ROOMS={}{faults}",
            self.mode,
            self.minutes,
            self.seed,
            self.replicas,
            self.gateways,
            self.standbys,
            self.clients,
            self.rate,
            self.rooms
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong is named; what is right is taken.
    #[test]
    fn options_are_checked() -> Result<()> {
        let parse = |args: &[&str]| Options::try_parse_from([&["chaos"], args].concat());
        parse(&[])?.validate()?;
        let some = parse(&["--faults", "kill,bit-flip", "--minutes", "0.5"])?;
        assert_eq!(some.kinds(), [Kind::Kill, Kind::BitFlip]);
        assert_eq!(some.length_ms(), 30_000);
        assert!(some.command().contains("FAULTS=kill,bit-flip"));
        let unknown = parse(&["--faults", "earthquake"]).map_err(|error| error.to_string());
        assert!(unknown.is_err_and(|said| said.contains("earthquake") && said.contains("kill")));
        for wrong in [["--minutes", "0"], ["--replicas", "8"], ["--rate", "-1"]] {
            let said = parse(&wrong).map(|options| options.validate());
            assert!(!matches!(said, Ok(Ok(()))), "{wrong:?}");
        }
        Ok(())
    }
}
