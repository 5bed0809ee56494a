//! One secret number per gateway address, and everything that follows from it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::state_files;

/// What all ids of one demo come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seed {
    /// 64 hexadecimal characters; nobody can guess the passwords without it.
    secret: String,
    /// When it was drawn: the time in every UUIDv7.
    created_ms: u64,
}

impl Seed {
    /// The one of this gateway, drawn if there is none.
    pub(super) fn of(url: &str) -> anyhow::Result<Self> {
        Self::kept(&state_files::directory()?, url)
    }

    fn kept(directory: &Path, url: &str) -> anyhow::Result<Self> {
        let path = directory.join("demo.json");
        let mut all: BTreeMap<String, Self> = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!(
                    "read {}: it is damaged; with another one the demo's people are strangers",
                    path.display()
                )
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        if let Some(seed) = all.get(url) {
            return Ok(seed.clone());
        }
        let seed = Self::draw();
        all.insert(url.to_owned(), seed.clone());
        // Before anything is asked for: what a run that dies has asked for can be asked again.
        state_files::write(&path, &all).with_context(|| format!("write {}", path.display()))?;
        Ok(seed)
    }

    fn draw() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let created_ms = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(0));
        Self {
            secret: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
            created_ms,
        }
    }

    fn digest(&self, label: &str) -> [u8; 32] {
        let hash = Sha256::new()
            .chain_update(b"chatterbox demo v1\0")
            .chain_update(&self.secret)
            .chain_update(b"\0")
            .chain_update(label);
        hash.finalize().into()
    }

    /// The id of a request.
    pub(super) fn cid(&self, label: &str) -> Uuid {
        let digest = self.digest(label);
        let mut random = [0; 10];
        random.copy_from_slice(&digest[..10]);
        uuid::Builder::from_unix_timestamp_millis(self.created_ms, &random).into_uuid()
    }

    /// What proves that a sign-up is ours.
    pub(super) fn sign_up_secret(&self, name: &str) -> String {
        hex(&self.digest(&format!("secret of {name}")))
    }

    /// The password of the demo's people.
    pub(super) fn password(&self) -> String {
        let digits = hex(&self.digest("password"));
        [
            &digits[0..4],
            &digits[4..8],
            &digits[8..12],
            &digits[12..16],
        ]
        .join("-")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::Seed;

    #[test]
    fn a_gateway_has_one_seed_and_all_follows_from_it() {
        let directory = tempfile::tempdir().expect("directory");
        let at = directory.path().join("chatterbox");
        let first = Seed::kept(&at, "http://a").expect("seed");
        let again = Seed::kept(&at, "http://a").expect("seed");
        let other = Seed::kept(&at, "http://b").expect("seed");
        assert_eq!(first, again);
        assert_eq!(first.cid("x"), again.cid("x"));
        assert_eq!(first.password(), again.password());
        assert_ne!(first.cid("x"), first.cid("y"));
        assert_ne!(first.cid("x"), other.cid("x"));
        assert_ne!(first.password(), other.password());
        assert_eq!(first.cid("x").get_version_num(), 7);
        assert_eq!(first.sign_up_secret("n").len(), 64);
        let file = std::fs::metadata(at.join("demo.json")).expect("file");
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_not_replaced() {
        let directory = tempfile::tempdir().expect("directory");
        std::fs::write(directory.path().join("demo.json"), "{").expect("write");
        let error = Seed::kept(directory.path(), "http://a").expect_err("damaged");
        assert!(format!("{error:#}").contains("demo.json"));
    }
}
