//! `membership`: options, telemetry, run.

use anyhow::Context;
use membership::change::Changer;
use membership::config::Options;
use membership::execute::Executor;
use membership::metrics;
use membership::rpc;
use membership::service::Service;
use membership::store::Store;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    let ended = runtime.block_on(run());
    ops::shutdown::leave(runtime);
    ended
}

async fn run() -> anyhow::Result<()> {
    let config = ops::config::load_or_exit::<Options>();
    let _telemetry = ops::telemetry::start("membership")?;
    config.log();
    let options = config.into_settings();
    let shutdown = ops::shutdown::on_signals().context("listen to signals")?;
    let tls = tls::Mutual::start(&options.tls, tls::Role::Membership).context("the setting tls")?;
    options.require_cluster(&tls)?;
    // The port first: it also keeps a second process from the same file.
    let listener = ops::net::bind(&options.listen, "CHATTERBOX_MEMBERSHIP_LISTEN").await?;
    let store = Store::open(&options.data)?;
    let stored = store.load(&options.cluster)?;
    let service = Service::new(&options, stored);
    service.drain(store.load_draining()?);
    tracing::info!(listen = options.listen, "membership is up");
    let executor = tokio::spawn(
        Executor::new(service.clone(), store.clone(), tls.clone()).run(shutdown.clone()),
    );
    let watch = tokio::spawn({
        let (service, shutdown) = (service.clone(), shutdown.clone());
        async move { service.watch(shutdown).await }
    });
    let (registry, refresh) = metrics::registry(service.clone());
    let (listen, setting) = (&options.metrics, "CHATTERBOX_MEMBERSHIP_METRICS");
    ops::metrics::serve(listen, setting, registry, refresh, shutdown.clone()).await?;
    let changer = tokio::spawn(Changer::new(service.clone(), tls.clone()).run(shutdown.clone()));
    let served = rpc::serve(service, store, tls, listener, shutdown.clone()).await;
    shutdown.cancel();
    executor.await.context("the task that forms the cluster")?;
    watch.await.context("the task that suspects")?;
    changer.await.context("the task that changes the voters")?;
    served?;
    tracing::info!("stopped");
    Ok(())
}
