//! Where `restore` and `rescue` make a new cluster, and what a person does next.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use archive::{Audit, Made, Plan, Seat, Source};
use serde_json::{Value, json};

use crate::backup::now_ms;
use crate::cli::NewClusterArgs;
use crate::local::plan::{Kind, LOCAL_CLUSTER, Plan as LocalPlan};
use crate::local::state::State;
use crate::output::Output;

/// What is to be made.
pub(crate) struct NewCluster {
    /// The voters and the name.
    pub(crate) plan: Plan,
    /// Of a local cluster: its data directory, and its processes.
    local: Option<(PathBuf, LocalPlan)>,
}

/// What is known of the cluster that the state is of.
pub(crate) struct Before<'a> {
    pub(crate) cluster_name: &'a str,
    pub(crate) shard: u32,
    pub(crate) client_epoch: u64,
}

impl NewCluster {
    /// By the flags. Nothing is written.
    pub(crate) fn new(args: &NewClusterArgs, before: &Before<'_>) -> anyhow::Result<Self> {
        let (cluster_name, seats, local) = match &args.data {
            Some(data) => {
                let local =
                    LocalPlan::new(args.port, args.base_port, Some(args.replicas), None, None);
                require_no_cluster(data)?;
                let replicas = local.parts().into_iter();
                let replicas = replicas.filter(|part| part.kind == Kind::Replica);
                let seats = replicas.map(|part| Seat {
                    directory: data.join(&part.name),
                    address: part.address(),
                });
                let seats = seats.collect();
                (LOCAL_CLUSTER.to_owned(), seats, Some((data.clone(), local)))
            }
            None => {
                let seats = args.voter.iter().map(|voter| seat(voter));
                let seats = seats.collect::<anyhow::Result<Vec<_>>>()?;
                let name = args.cluster.as_deref().unwrap_or(before.cluster_name);
                (name.to_owned(), seats, None)
            }
        };
        let plan = Plan {
            cluster_name,
            shard: before.shard,
            client_epoch: archive::next_client_epoch(before.client_epoch, now_ms()),
            seats,
        };
        plan.check()?;
        Ok(Self { plan, local })
    }

    /// Makes it, and says what comes next.
    pub(crate) fn make(
        &self,
        source: &Source,
        audit: &Audit,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        let made = archive::found(source, &self.plan, audit)?;
        if let Some((data, local)) = &self.local {
            State::new(local.clone()).save(data)?;
        }
        output.line(&self.words(&made, source))?;
        Ok(())
    }

    fn words(&self, made: &Made, source: &Source) -> String {
        let mut lines = vec![format!(
            "New cluster {} ({}), client epoch {}; its first slot is {}.",
            self.plan.cluster_name,
            made.cluster_id,
            self.plan.client_epoch,
            source.manifest.applied.slot.0 + 1
        )];
        for (number, seat) in (1..).zip(&self.plan.seats) {
            let Seat { directory, address } = seat;
            lines.push(format!("  r{number}  {address}  {}", directory.display()));
        }
        lines.push(match &self.local {
            Some((data, _)) => format!("Start it: chatterctl up --data {}", data.display()),
            None => format!(
                "Start membership on an empty directory with CLUSTER={} and REPLICAS={}, then \
                 these replicas, then the gateways. It is formed once all of the replicas run.",
                self.plan.cluster_name,
                self.plan.seats.len()
            ),
        });
        lines.join("\n")
    }
}

/// Who does it and with what, for the file that stays beside the data.
pub(crate) fn audit(action: &'static str, source: Value, accepted: Option<String>) -> Audit {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Audit {
        action,
        made_ms: now_ms(),
        program: format!("chatterctl {}", env!("CARGO_PKG_VERSION")),
        user: std::env::var("USER").unwrap_or_default(),
        host: host.trim().to_owned(),
        source,
        accepted,
        new_cluster: json!(null),
    }
}

fn require_no_cluster(data: &Path) -> anyhow::Result<()> {
    ensure!(
        State::load(data)?.is_none() && !data.join("membership").exists(),
        "{} is of a cluster already: name another directory with --data",
        data.display()
    );
    Ok(())
}

/// `DIR=HOST:PORT`.
fn seat(voter: &str) -> anyhow::Result<Seat> {
    let (directory, address) = voter
        .rsplit_once('=')
        .with_context(|| format!("--voter `{voter}` must be DIR=HOST:PORT"))?;
    if directory.is_empty() {
        bail!("--voter `{voter}` names no directory");
    }
    Ok(Seat {
        directory: directory.into(),
        address: address.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Before<'_> = Before {
        cluster_name: "old",
        shard: 0,
        client_epoch: 7,
    };

    fn args() -> NewClusterArgs {
        NewClusterArgs {
            data: None,
            replicas: 3,
            port: None,
            base_port: None,
            voter: Vec::new(),
            cluster: None,
        }
    }

    /// A local cluster has the directories, addresses and name that `up` expects.
    #[test]
    fn a_local_cluster_is_the_one_that_up_starts() {
        let directory = tempfile::tempdir().expect("directory");
        let data = directory.path().join("new");
        let args = NewClusterArgs {
            data: Some(data.clone()),
            port: Some(2050),
            ..args()
        };
        let made = NewCluster::new(&args, &BEFORE).expect("possible");
        assert_eq!(made.plan.cluster_name, "local");
        assert!(made.plan.client_epoch > 7);
        let seats: Vec<_> = made.plan.seats.iter().map(|seat| &*seat.address).collect();
        assert_eq!(
            seats,
            ["127.0.0.1:2061", "127.0.0.1:2062", "127.0.0.1:2063"]
        );
        assert_eq!(made.plan.seats[2].directory, data.join("r3"));
        std::fs::create_dir_all(data.join("membership")).expect("directory");
        let error = NewCluster::new(&args, &BEFORE).err().expect("in use");
        assert!(error.to_string().contains("already"), "{error}");
    }

    #[test]
    fn voters_are_read_or_named_in_the_error() {
        let voter = |voters: &[&str]| {
            let args = NewClusterArgs {
                voter: voters.iter().map(|voter| (*voter).to_owned()).collect(),
                ..args()
            };
            NewCluster::new(&args, &BEFORE).map(|made| made.plan)
        };
        let plan = voter(&["no/such=a/r1=h:1", "no/such/r2=h:2"]).expect("possible");
        assert_eq!(plan.cluster_name, "old");
        assert_eq!(plan.seats[0].directory, Path::new("no/such=a/r1"));
        for bad in ["r1", "=h:1", "r1=h", "r1=:1", "r1=h:0"] {
            let error = format!("{:#}", voter(&[bad]).expect_err(bad));
            assert!(
                error.contains(bad.split('=').next_back().unwrap_or(bad)),
                "{error}"
            );
        }
        assert!(voter(&["a=h:1", "b=h:1"]).is_err(), "one address twice");
    }
}
