//! The supervisor: one task per process, stopped in the order in which work flows.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use ops::shutdown::Token;
use tls::authority::CERTIFICATE_LIVES;
use tokio::task::JoinSet;

use super::keep::{Board, keep};
use super::plan::{Kind, LOCAL_CLUSTER, Spec, certificates};
use super::rotate;
use super::state::{Lock, State};
use crate::ca;

/// First those that people talk to, then those that remember, then the one that watches.
const STOP_ORDER: [Kind; 3] = [Kind::Gateway, Kind::Replica, Kind::Membership];

/// `chatterctl supervise`: leaves the terminal of whoever called `up`, then supervises.
pub(crate) async fn run_detached(args: &crate::cli::DataArgs) -> anyhow::Result<ExitCode> {
    // Fails only for the leader of a group, which is detached already.
    let _ = rustix::process::setsid();
    let _telemetry = ops::telemetry::start("supervisor")?;
    let shutdown = ops::shutdown::on_signals().context("listen to signals")?;
    run(&args.data, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

/// Supervises what `cluster.json` plans, until `shutdown`.
pub(crate) async fn run(data: &Path, shutdown: Token) -> anyhow::Result<()> {
    let data = data
        .canonicalize()
        .with_context(|| format!("find {}", data.display()))?;
    let Some(_lock) = Lock::take(&data)? else {
        bail!("another supervisor runs on {}", data.display());
    };
    let state = State::load(&data)?.context("cluster.json is missing: `chatterctl up` makes it")?;
    let programs = programs()?;
    let parts = state.plan.parts();
    let specs: Vec<Spec> = parts
        .iter()
        .map(|part| part.spec(&state.plan, &programs, &data))
        .collect();
    let renewing = (!state.plan.plain).then(|| tokio::spawn(renew(data.clone())));
    let board = Board::new(state, data.clone());
    board.change(|state| state.supervisor = Some(std::process::id()));
    supervise(specs, &board, shutdown).await;
    board.change(|state| state.supervisor = None);
    if let Some(renewing) = renewing {
        renewing.abort();
    }
    tracing::info!("everything has stopped");
    Ok(())
}

/// Certificates end; the services take up new ones by themselves.
async fn renew(data: PathBuf) {
    loop {
        tokio::time::sleep(ca::LOOK_EVERY).await;
        match ca::ensure(&certificates(&data), LOCAL_CLUSTER, CERTIFICATE_LIVES) {
            Ok(made) => tracing::debug!(new = made.len(), "certificates"),
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "cannot renew the certificates"
                );
            }
        }
    }
}

async fn supervise(specs: Vec<Spec>, board: &Board, shutdown: Token) {
    let logs: Vec<PathBuf> = specs.iter().map(|spec| spec.log.clone()).collect();
    let rotating = tokio::spawn(rotate::watch(logs, shutdown.clone()));
    let mut tiers = STOP_ORDER.map(|kind| (kind, Token::new(), JoinSet::new()));
    for spec in specs {
        for (_, token, tasks) in tiers.iter_mut().filter(|(kind, ..)| *kind == spec.kind) {
            tasks.spawn(keep(spec.clone(), board.clone(), token.clone()));
        }
    }
    shutdown.cancelled().await;
    for (_, token, tasks) in &mut tiers {
        token.cancel();
        while tasks.join_next().await.is_some() {}
    }
    let _ = rotating.await;
}

/// The directory of the programs: that of this one.
pub(crate) fn programs() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("find this program")?;
    let directory = this
        .parent()
        .context("find the directory of this program")?
        .to_owned();
    for program in ["membership", "replica", "gateway"] {
        let path = directory.join(program);
        if !path.exists() {
            bail!(
                "{} is missing: it must lie beside chatterctl; build it with \
                 `cargo build --workspace` (or `make up`, which does)",
                path.display()
            );
        }
    }
    Ok(directory)
}
