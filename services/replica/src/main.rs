//! The replica's process: options, telemetry, run.

use std::error::Error;
use std::process::ExitCode;

use replica::Options;

fn main() -> ExitCode {
    let config = ops::config::load_or_exit::<Options>();
    // Set by tests, in a binary that was built for them.
    #[cfg(feature = "failpoints")]
    let _failpoints = fail::FailScenario::setup();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.settings().runtime_threads())
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(run(config));
            ops::shutdown::leave(runtime);
            ended
        }
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Says what went wrong where the rest of the log is: the exit code is all that is left to say.
async fn run(config: ops::config::Loaded<Options>) -> Result<(), Box<dyn Error>> {
    let _telemetry = ops::telemetry::start("replica").inspect_err(|error| {
        // There is no log to say it in.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("replica: {}\n", ops::errors::chain(error)).as_bytes(),
        );
    })?;
    config.log();
    let ended = serve(config.into_settings()).await;
    match &ended {
        Ok(()) => tracing::info!("stopped"),
        Err(error) => {
            tracing::error!(
                error = ops::errors::chain(error.as_ref()),
                "the replica cannot run"
            );
        }
    }
    ended
}

async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let shutdown = ops::shutdown::on_signals()?;
    let listener = ops::net::bind(&options.listen, "CHATTERBOX_REPLICA_LISTEN").await?;
    tracing::info!(address = options.listen, "listening");
    Ok(replica::run(options, listener, shutdown).await?)
}
