//! What every service needs to be operated. Knows nothing about chat and nothing about Paxos.
//!
//! A service's `main` reads like this:
//!
//! ```no_run
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Default, Serialize, Deserialize)]
//! # struct Options { listen: String }
//! # impl ops::config::Settings for Options {
//! #     const PROGRAM: &'static str = "gateway";
//! #     const PREFIX: &'static str = "CHATTERBOX_GATEWAY_";
//! #     const ABOUT: &'static str = "";
//! #     const FIELDS: &'static [(&'static str, &'static str)] = &[("listen", "")];
//! # }
//! # async fn serve(_: Options, _: tokio::net::TcpListener, _: ops::shutdown::Token) {}
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let config = ops::config::load_or_exit::<Options>();
//!     let _telemetry = ops::telemetry::start("gateway")?;
//!     config.log();
//!     let shutdown = ops::shutdown::on_signals()?;
//!     let options = config.into_settings();
//!     let listener = ops::net::bind(&options.listen, "CHATTERBOX_GATEWAY_LISTEN").await?;
//!     serve(options, listener, shutdown).await;
//!     Ok(())
//! }
//! ```

pub mod config;
pub mod errors;
pub mod metrics;
pub mod net;
mod otlp;
pub mod shutdown;
pub mod telemetry;
pub mod traces;
