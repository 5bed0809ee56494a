//! Where the state of a cluster comes from, for whoever asks later: a file beside the data.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::Error;
use crate::durable::{self, io};

/// One restore or rescue. The names are those of the file.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// `restore` or `rescue`.
    pub action: &'static str,
    /// Milliseconds since 1970, by the clock of this machine.
    pub made_ms: u64,
    /// The program and its version.
    pub program: String,
    /// The account on this machine.
    pub user: String,
    /// This machine.
    pub host: String,
    /// The backup, or the directory of the survivor, and what was known of it.
    pub source: Value,
    /// What was typed, when it had to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
    /// The new cluster.
    pub new_cluster: Value,
}

impl Audit {
    /// Writes it as a new file, durably.
    ///
    /// # Errors
    /// When there is such a file; when the disk fails.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let mut bytes =
            serde_json::to_vec_pretty(self).map_err(|error| io("encode", path)(error.into()))?;
        bytes.push(b'\n');
        durable::write_new(path, &bytes)?;
        durable::sync_directory(durable::parent(path))
    }
}
