//! `chatterctl`: for whoever runs a cluster, or wants to see one fail and recover.

mod backup;
mod ca;
mod chat;
mod cli;
mod demo;
mod health;
mod local;
mod log;
mod new_cluster;
mod node;
mod output;
mod remote;
mod rescue;
mod restore;
mod state_files;
mod status;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::output::Output;

#[tokio::main]
async fn main() -> ExitCode {
    let mut output = Output::stdout();
    let cli = Cli::parse();
    let ended = async {
        // A variable that is set and empty is how a container says: plain text.
        if let Some(directory) = cli.tls.filter(|directory| !directory.is_empty()) {
            remote::certify(directory.as_ref())?;
        }
        run(cli.command, &mut output).await
    };
    match ended.await {
        Ok(code) => code,
        // `chatterctl log r1 | head`: the reader has seen enough.
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            Output::stderr_line(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command, output: &mut Output) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(args) => local::up::run(args, output).await,
        Command::Down(args) => local::down::run(&args, output).await,
        Command::Status(args) => status::run(args, output).await,
        Command::Node(command) => node::run(command, output).await,
        Command::Backup(args) => backup::run(args, output).await,
        Command::Restore(args) => restore::run(&args, output),
        Command::Rescue(args) => rescue::run(args, &mut std::io::stdin().lock(), output).await,
        Command::Verify(args) => verify::run(args, output).await,
        Command::Log(args) => log::run(args, output).await,
        Command::Logs(args) => local::logs::run(args, output).await,
        Command::Kill(args) => local::signal::run(&args, local::signal::Wish::Kill, output),
        Command::Pause(args) => local::signal::run(&args, local::signal::Wish::Pause, output),
        Command::Resume(args) => local::signal::run(&args, local::signal::Wish::Resume, output),
        Command::Chat(args) => chat::run(args, output).await,
        Command::Demo(args) => demo::run(args, output).await,
        Command::Health(args) => health::run(&args.url, output).await,
        Command::Ca(command) => ca::run(command, output).await,
        Command::Purge(args) => local::purge::run(&args, &mut std::io::stdin().lock(), output),
        Command::Supervise(args) => local::supervise::run_detached(&args).await,
    }
}
