//! The replica's process: options, telemetry, run.

use anyhow::Context as _;
use replica::Options;

fn main() -> anyhow::Result<()> {
    let config = ops::config::load_or_exit::<Options>();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.settings().runtime_threads())
        .enable_all()
        .build()
        .context("start the runtime")?;
    // Set by tests, in a binary that was built for them.
    #[cfg(feature = "failpoints")]
    let _failpoints = fail::FailScenario::setup();
    runtime.block_on(run(config))
}

async fn run(config: ops::config::Loaded<Options>) -> anyhow::Result<()> {
    let _telemetry = ops::telemetry::start("replica")?;
    config.log();
    let shutdown = ops::shutdown::on_signals().context("listen for signals")?;
    let options = config.into_settings();
    let listener = match ops::net::bind(&options.listen, "CHATTERBOX_REPLICA_LISTEN").await {
        Ok(listener) => listener,
        Err(error) => return failed(error.into()),
    };
    tracing::info!(address = options.listen, "listening");
    match replica::run(options, listener, shutdown).await {
        Ok(()) => {
            tracing::info!("stopped");
            Ok(())
        }
        Err(error) => failed(error.into()),
    }
}

/// Says it where the rest of the log is; `main` returns it for the exit code.
fn failed(error: anyhow::Error) -> anyhow::Result<()> {
    tracing::error!(error = format!("{error:#}"), "the replica cannot run");
    Err(error)
}
