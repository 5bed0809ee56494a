//! `chatterctl up`: starts a local cluster and waits until people can use it.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tls::Role;
use tls::authority::CERTIFICATE_LIVES;

use super::plan::{LOCAL_CLUSTER, PORT, Plan, certificates};
use super::state::{Lock, State, orphans};
use super::{ready, supervise};
use crate::ca;
use crate::cli::UpArgs;
use crate::output::Output;
use crate::remote;

pub(crate) async fn run(args: UpArgs, output: &mut Output) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let directory = &args.data.data;
    // What people write is in it, and the key of the local authority: for its owner alone.
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory.join("logs"))
        .with_context(|| format!("make the directory {}", directory.display()))?;
    let data = directory
        .canonicalize()
        .with_context(|| format!("find {}", directory.display()))?;
    let before = State::load(&data)?;
    if Lock::is_held(&data)? {
        let url = before.map(|state| state.url).unwrap_or_default();
        output.line(&format!(
            "It runs already: {url}  (chatterctl status, chatterctl down)"
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    supervise::programs()?;
    let plan = plan(&args, before.as_ref().map(|state| &state.plan))?;
    if let Some(state) = &before {
        refuse_orphans(&data, state)?;
    }
    let mut parts = plan.parts();
    // The port that people know comes first.
    parts.sort_by_key(|part| part.port != plan.port);
    for part in parts {
        check_port(part.port, &part.name, &plan)?;
    }
    let count = plan.replicas;
    let plural = if count == 1 { "replica" } else { "replicas" };
    output.line(&format!(
        "Starting {count} {plural} in {} …",
        directory.display()
    ))?;
    if !plan.plain {
        certify(&data)?;
    }
    State::new(plan.clone()).save(&data)?;
    let within = Duration::from_secs(args.timeout);
    if args.foreground {
        return foreground(&data, within, &plan, started, output).await;
    }
    let mut supervisor = spawn_supervisor(&data)?;
    let lives = || matches!(supervisor.try_wait(), Ok(None));
    ready::wait(&data, within, output, lives).await?;
    output.line(&welcome(&plan, directory, started.elapsed()))?;
    Ok(ExitCode::SUCCESS)
}

fn plan(args: &UpArgs, before: Option<&Plan>) -> anyhow::Result<Plan> {
    let plan = Plan::new(
        args.port,
        args.base_port,
        args.replicas,
        args.gateways,
        before,
    )
    .plain(args.plain);
    let had = before.map(|before| before.replicas);
    if let Some(had) = had.filter(|had| *had != plan.replicas) {
        bail!(
            "the data in {} is of {had} replicas, not {}: leave --replicas away, choose \
             another --data, or delete it with `chatterctl purge`",
            args.data.data.display(),
            plan.replicas
        );
    }
    Ok(plan)
}

/// Certificates for the services, and for whoever asks them how they are.
fn certify(data: &Path) -> anyhow::Result<()> {
    let place = certificates(data);
    ca::ensure(&place, LOCAL_CLUSTER, CERTIFICATE_LIVES).context("make certificates")?;
    remote::certify(&ca::place(&place, Role::Operator))
}

fn refuse_orphans(data: &Path, state: &State) -> anyhow::Result<()> {
    let left: Vec<String> = orphans(data, state)
        .iter()
        .map(|process| format!("{} (pid {})", process.name, process.pid.unwrap_or_default()))
        .collect();
    if !left.is_empty() {
        bail!(
            "the supervisor was killed, and these still run: {}; stop them first: \
             chatterctl down",
            left.join(", ")
        );
    }
    Ok(())
}

/// Whether a process could listen there.
fn check_port(port: u16, name: &str, plan: &Plan) -> anyhow::Result<()> {
    let Err(error) = TcpListener::bind(("127.0.0.1", port)) else {
        return Ok(());
    };
    if error.kind() != std::io::ErrorKind::AddrInUse {
        return Err(error).with_context(|| format!("listen on port {port} for {name}"));
    }
    let other = if plan.port == PORT {
        2050
    } else {
        plan.port.saturating_add(100)
    };
    let remedy = format!("chatterctl up --port {other}");
    bail!(
        "port {port} ({name}) is in use by another process: stop that process, or choose \
         other ports: {remedy}"
    );
}

fn spawn_supervisor(data: &Path) -> anyhow::Result<std::process::Child> {
    let this = std::env::current_exe().context("find this program")?;
    let path = data.join("logs").join("supervisor.log");
    let log = File::options().create(true).append(true).open(&path);
    let log = log.with_context(|| format!("open {}", path.display()))?;
    let errors = log.try_clone().context("share the log")?;
    Command::new(this)
        .arg("supervise")
        .arg("--data")
        .arg(data)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .context("start the supervisor")
}

async fn foreground(
    data: &Path,
    within: Duration,
    plan: &Plan,
    started: Instant,
    output: &mut Output,
) -> anyhow::Result<ExitCode> {
    let shutdown = ops::shutdown::on_signals().context("listen to signals")?;
    let supervised = tokio::spawn({
        let (data, shutdown) = (data.to_owned(), shutdown.clone());
        async move { supervise::run(&data, shutdown).await }
    });
    let lives = || !supervised.is_finished();
    let waited = shutdown
        .run_until_cancelled(ready::wait(data, within, output, lives))
        .await;
    match waited {
        Some(Ok(())) => {
            output.line(&welcome(plan, data, started.elapsed()))?;
            output.line("Ctrl+C stops it.")?;
        }
        Some(Err(error)) => {
            shutdown.cancel();
            let _ = supervised.await;
            return Err(error);
        }
        None => {}
    }
    supervised.await.context("the supervisor")??;
    output.line("Stopped. The data stays.")?;
    Ok(ExitCode::SUCCESS)
}

fn welcome(plan: &Plan, data: &Path, taken: Duration) -> String {
    let default = data.strip_prefix("./").unwrap_or(data) == Path::new("data");
    let option = if default {
        String::new()
    } else {
        format!(" --data {}", data.display())
    };
    let url = plan.url();
    // As it was called, so that the lines can be copied.
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "chatterctl".to_owned());
    let at = if plan.port == PORT {
        String::new()
    } else {
        format!(" --url {url}")
    };
    let commands = [
        (
            format!("{program} status{option}"),
            "who leads, who follows",
        ),
        (format!("{program} chat{at}"), "talk from the terminal"),
        (
            format!("{program} kill r1{option}"),
            "kill -9 a replica; nothing is lost",
        ),
        (format!("{program} log r2{option}"), "the replicated log"),
        (format!("{program} down{option}"), "stop; the data stays"),
    ];
    let width = commands
        .iter()
        .map(|(command, _)| command.len())
        .max()
        .unwrap_or(0);
    let mut text = format!("Ready in {:.1} s:  {url}\n\nTry next:", taken.as_secs_f64());
    for (command, words) in commands {
        text.push_str(&format!("\n  {command:width$}  {words}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::{Plan, check_port};

    #[test]
    fn a_port_in_use_is_named_with_the_remedy() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = taken.local_addr().expect("bound").port();
        let plan = Plan::new(Some(2050), None, None, None, None);
        let error = check_port(port, "r1", &plan)
            .expect_err("taken")
            .to_string();
        assert!(
            error.contains(&format!("port {port} (r1) is in use")),
            "{error}"
        );
        assert!(error.contains("chatterctl up --port 2150"), "{error}");
        drop(taken);
        assert!(check_port(port, "r1", &plan).is_ok());
    }
}
