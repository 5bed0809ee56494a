//! The wire contract between the services, generated from `chatterbox/v1/*.proto`.
//!
//! The comments of the .proto files are the documentation; they appear here on the types.

/// Version 1 of the contract.
pub mod v1 {
    // Generated code documents fields through the .proto comments, where there are any.
    #![allow(missing_docs, unreachable_pub, clippy::all, clippy::too_many_lines)]
    tonic::include_proto!("chatterbox.v1");

    /// The serialised descriptors, for gRPC reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
}
