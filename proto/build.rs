//! Generates the Rust side of the wire contract. `protox` compiles the .proto files in pure
//! Rust, so that a machine with nothing but Rust can build.

use std::error::Error;
use std::path::PathBuf;

const FILES: [&str; 10] = [
    "chatterbox/v1/command.proto",
    "chatterbox/v1/trace.proto",
    "chatterbox/v1/snapshot.proto",
    "chatterbox/v1/client.proto",
    "chatterbox/v1/relay.proto",
    "chatterbox/v1/peer.proto",
    "chatterbox/v1/membership.proto",
    "chatterbox/v1/admin.proto",
    "chatterbox/v1/demo.proto",
    "chatterbox/v1/failpoints.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(
        out.join("descriptor.bin"),
        prost::Message::encode_to_vec(&descriptors),
    )?;
    tonic_prost_build::configure()
        .bytes("chatterbox.v1.Entry.payload")
        .bytes("chatterbox.v1.Command.cid")
        .bytes("chatterbox.v1.SnapshotChunk.data")
        .compile_fds(descriptors)?;
    Ok(())
}
