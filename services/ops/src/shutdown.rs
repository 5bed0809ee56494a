//! Stopping on SIGTERM or SIGINT: the first one asks, the second one does not.
//!
//! Everything that runs holds a [`Token`] and ends soon after it is cancelled. A person who
//! presses Ctrl+C twice means it; the log is written before anything is acknowledged, so that
//! an exit at any moment loses nothing.

use std::io;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
pub use tokio_util::sync::CancellationToken as Token;

/// What a shell expects of a process that ended by SIGINT.
const EXIT_AT_ONCE: i32 = 130;

/// Signals this soon after the first one are the same wish: `timeout`, shells and npm send one
/// to the process and once more to its group.
const SAME_WISH: Duration = Duration::from_millis(500);

/// A token that the first SIGTERM or SIGINT cancels. The second one ends the process.
/// Must be called inside a tokio runtime.
pub fn on_signals() -> io::Result<Token> {
    let token = Token::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let asked = token.clone();
    tokio::spawn(async move {
        let name = next(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = name, "stopping; a second signal stops at once");
        asked.cancel();
        let since = Instant::now();
        let mut name = next(&mut terminate, &mut interrupt).await;
        while since.elapsed() < SAME_WISH {
            name = next(&mut terminate, &mut interrupt).await;
        }
        tracing::warn!(signal = name, "stopped at once by a second signal");
        std::process::exit(EXIT_AT_ONCE);
    });
    Ok(token)
}

/// How long threads of the runtime may still take when the service itself has ended.
const LEAVE: Duration = Duration::from_millis(100);

/// Ends `runtime` without the wait that dropping it has for calls of the operating system: a
/// name server that does not answer holds a thread for ten seconds.
pub fn leave(runtime: Runtime) {
    runtime.shutdown_timeout(LEAVE);
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
