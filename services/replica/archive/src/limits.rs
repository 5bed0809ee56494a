//! Every bound of this crate, with its reason.

/// The version of `backup.json` that this program makes and reads.
pub const MANIFEST_FORMAT: u32 = 1;
/// Bytes of `backup.json` and of `SHA256SUMS`: names, hashes and the largest configuration, many
/// times over.
pub const MANIFEST_BYTES_MAX: u64 = 64 * 1024;
