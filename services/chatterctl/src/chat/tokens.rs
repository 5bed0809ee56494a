//! Sessions of earlier conversations: a file that only its owner may read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::state_files;

/// Older ones are forgotten.
const SESSIONS_MAX: usize = 100;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Session {
    url: String,
    name: String,
    token: String,
}

/// The sessions, the one used last at the end.
#[derive(Debug)]
pub(super) struct Tokens {
    path: PathBuf,
    sessions: Vec<Session>,
}

impl Tokens {
    /// Those of this person on this machine.
    pub(super) fn open() -> anyhow::Result<Self> {
        Self::at(&state_files::directory()?)
    }

    fn at(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join("sessions.json");
        let sessions = match fs::read(&path) {
            // A damaged file costs a new account, not the conversation.
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        Ok(Self { path, sessions })
    }

    /// The name used last at this gateway.
    pub(super) fn last(&self, url: &str) -> Option<String> {
        self.sessions
            .iter()
            .rfind(|session| session.url == url)
            .map(|s| s.name.clone())
    }

    /// The token of this name. Names differ without regard to case.
    pub(super) fn find(&self, url: &str, name: &str) -> Option<String> {
        let name = name.trim().to_lowercase();
        let same = |session: &&Session| session.url == url && session.name.to_lowercase() == name;
        self.sessions
            .iter()
            .rfind(same)
            .map(|session| session.token.clone())
    }

    /// Remembers it as the one used last.
    pub(super) fn keep(&mut self, url: &str, name: &str, token: &str) -> anyhow::Result<()> {
        self.sessions
            .retain(|session| session.url != url || session.name != name);
        self.sessions.push(Session {
            url: url.to_owned(),
            name: name.to_owned(),
            token: token.to_owned(),
        });
        let surplus = self.sessions.len().saturating_sub(SESSIONS_MAX);
        self.sessions.drain(..surplus);
        state_files::write(&self.path, &self.sessions)
            .with_context(|| format!("write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::Tokens;

    #[test]
    fn remembers_by_url_and_name_and_hides_the_file() {
        let directory = tempfile::tempdir().expect("directory");
        let at = directory.path().join("chatterbox");
        let mut tokens = Tokens::at(&at).expect("open");
        assert_eq!(tokens.last("u"), None);
        tokens.keep("u", "Alice", "1").expect("keep");
        tokens.keep("u", "bob", "2").expect("keep");
        tokens.keep("v", "carol", "3").expect("keep");
        let mut tokens = Tokens::at(&at).expect("open");
        assert_eq!(tokens.find("u", "alice").as_deref(), Some("1"));
        assert_eq!(tokens.last("u").as_deref(), Some("bob"));
        assert_eq!(tokens.find("v", "alice"), None);
        tokens.keep("u", "Alice", "4").expect("keep");
        assert_eq!(tokens.last("u").as_deref(), Some("Alice"));
        let mode = std::fs::metadata(at.join("sessions.json"))
            .expect("file")
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
}
