//! Keeps data of the present formats for `tests/real/upgrade.rs`, before the next format comes:
//!
//! ```text
//! cargo build --workspace --features replica/failpoints && cargo run -p scenarios --bin fixture
//! ```

#![allow(clippy::print_stdout, reason = "it says what it wrote")]

use anyhow::Result;

#[tokio::main]
async fn main() -> Result<()> {
    let path = scenarios::upgrade::make().await?;
    let bytes = std::fs::metadata(&path)?.len();
    println!("{}: {bytes} bytes", path.display());
    Ok(())
}
