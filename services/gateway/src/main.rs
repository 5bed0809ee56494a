//! `gateway`: options, telemetry, run.

use gateway::config::Options;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let ended = runtime.block_on(run());
    ops::shutdown::leave(runtime);
    ended
}

async fn run() -> anyhow::Result<()> {
    let config = ops::config::load_or_exit::<Options>();
    let _telemetry = ops::telemetry::start("gateway")?;
    config.log();
    let stop = ops::shutdown::on_signals()?;
    let options = config.into_settings();
    let listener = ops::net::bind(&options.listen, "CHATTERBOX_GATEWAY_LISTEN").await?;
    tracing::info!(address = options.listen, "listens");
    gateway::run(options, listener, stop).await?;
    Ok(())
}
