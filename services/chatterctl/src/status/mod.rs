//! `chatterctl status`: asks everybody, judges, shows.

mod gather;
mod show;
pub(crate) mod view;

use std::process::ExitCode;

pub(crate) use gather::{Places, gather, places};

use crate::cli::StatusArgs;
use crate::output::Output;

pub(crate) async fn run(args: StatusArgs, output: &mut Output) -> anyhow::Result<ExitCode> {
    let places = Places::of(&args.place)?;
    let view = gather(&places).await;
    if args.json {
        output.line(&serde_json::to_string(&view)?)?;
    } else {
        output.line(&show::text(&view))?;
    }
    Ok(if view.quorum {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
