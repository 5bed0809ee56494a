//! `chatterctl chat`: talk from a terminal, by the protocol of docs/protocol.md.
use std::process::ExitCode;
pub(crate) async fn run(
    _: crate::cli::ChatArgs,
    _: &mut crate::output::Output,
) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
