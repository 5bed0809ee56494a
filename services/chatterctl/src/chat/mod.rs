//! `chatterctl chat`: talk from a terminal, by the protocol of docs/protocol.md.
//!
//! [`room`] is the client without I/O; [`connection`] moves its frames; [`api`] is HTTP;
//! [`tokens`] remembers sessions. No line that was typed is lost by a reconnect: it stays in
//! the outbox under its first cid until it is acknowledged.

mod api;
mod command;
mod connection;
mod frames;
mod room;
mod tokens;

use std::io::BufRead;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::cli::ChatArgs;
use crate::output::Output;
use crate::remote;
use api::{Api, Failure};
use frames::Person;
use tokens::Tokens;

/// Lines that were typed and not yet looked at.
const LINES_MAX: usize = 256;

/// Pause before a sign-up is tried again.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) async fn run(args: ChatArgs, output: &mut Output) -> anyhow::Result<ExitCode> {
    let url = remote::gateway(&args.url)?;
    let mut tokens = Tokens::open()?;
    let mut lines = read_lines();
    let name = match args.name.or_else(|| tokens.last(&url)) {
        Some(name) => name,
        None => ask_name(&mut lines, output).await?,
    };
    let mut api = Api::new(url.clone());
    let me = enter(&mut api, &mut tokens, &url, &name, output).await?;
    let room = args.room.trim_start_matches('#').to_owned();
    connection::talk(&api, room::Client::new(me, room), lines, output).await?;
    Ok(ExitCode::SUCCESS)
}

/// With the session of last time, if there is one and it still counts; else with a new account.
async fn enter(
    api: &mut Api,
    tokens: &mut Tokens,
    url: &str,
    name: &str,
    output: &mut Output,
) -> anyhow::Result<Person> {
    let cid = Uuid::now_v7();
    // A first try whose answer was lost has made the account: this proves that it is ours.
    let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    api.token = tokens.find(url, name);
    let mut waited = false;
    loop {
        let known = api.token.is_some();
        let answer = if known {
            api.me().await
        } else {
            api.sign_up(cid, name, &secret).await
        };
        match answer {
            Ok(me) => {
                if let Some(token) = &api.token {
                    tokens.keep(url, &me.name, token)?;
                }
                return Ok(me);
            }
            // The session was revoked, or the cluster is a new one.
            Err(Failure::Refused { status: 401, .. }) if known => api.token = None,
            Err(Failure::Refused { code, .. }) if code == "name_taken" => bail!(
                "somebody else is called `{name}` (or this session was lost): choose another \
                 name with --name"
            ),
            Err(Failure::Refused {
                message,
                temporary: false,
                ..
            }) => bail!(message),
            Err(failure) => {
                if !waited {
                    output.line(&format!("waiting: {failure}"))?;
                    waited = true;
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Lines of stdin, read by a thread of their own: reading a terminal cannot be interrupted.
fn read_lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

async fn ask_name(
    lines: &mut mpsc::Receiver<String>,
    output: &mut Output,
) -> anyhow::Result<String> {
    output.ask("Your name: ")?;
    let name = lines
        .recv()
        .await
        .context("no name was given; use --name")?;
    Ok(name.trim().to_owned())
}
