//! When the WAL is copied into log.db.

/// Size of the WAL at which a checkpoint is made even under load.
pub(crate) const WAL_BYTES_MAX: u64 = 8 * 1024 * 1024;
