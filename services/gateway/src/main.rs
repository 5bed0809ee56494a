//! `gateway`: options, telemetry, run.

use gateway::config::Options;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
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
