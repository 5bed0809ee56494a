//! Sessions of earlier conversations: a file that only its owner may read.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

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
        let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
        let directory = state
            .or_else(home)
            .context("neither XDG_STATE_HOME nor HOME is set")?;
        Self::at(&directory.join("chatterbox"))
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
        self.write()
            .with_context(|| format!("write {}", self.path.display()))
    }

    fn write(&self) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or_else(|| Path::new("."));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let temporary = directory.join(format!("sessions.json.{}", std::process::id()));
        let mut file = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(&self.sessions)?)?;
        fs::rename(&temporary, &self.path)
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
