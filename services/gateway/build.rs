//! The page is embedded from web/dist, which the web build writes and nobody commits. Without
//! it the gateway compiles all the same and says how to build the page.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let dist = Path::new("../../web/dist");
    std::fs::create_dir_all(dist)?;
    println!("cargo:rerun-if-changed={}", dist.display());
    Ok(())
}
