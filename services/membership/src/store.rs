//! The files of this service: a cache of the genesis, whose truth is on the replicas' disks; and
//! which places are drained, which nobody else knows.
//!
//! Written as a whole: temporary file, fsync, rename, fsync of the directory; so it is the old
//! one or the new one after a crash.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::genesis::Genesis;

const FILE: &str = "membership.json";
const DRAINING_FILE: &str = "draining.json";
const VERSION: u32 = 1;

/// What is in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    version: u32,
    genesis: Genesis,
    /// Every named disk holds the genesis durably: the cluster exists.
    held: bool,
}

/// The file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An error of the file system.
    #[error("{action} {path}: {source}")]
    Io {
        /// Verb, for people.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Written by a newer version.
    #[error(
        "{path} has format {found}, this version knows {VERSION}: run the newer version, or \
         delete the file, which is only a cache"
    )]
    Version {
        /// Which file.
        path: PathBuf,
        /// The format it has.
        found: u32,
    },
    /// Of a cluster of another name.
    #[error(
        "{path} belongs to the cluster `{found}`, the setting CLUSTER says `{wanted}`: correct \
         the setting or the data directory"
    )]
    OtherCluster {
        /// Which file.
        path: PathBuf,
        /// The name in the file.
        found: String,
        /// The configured name.
        wanted: String,
    },
}

/// The place of the file.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// Opens the directory, making it when it is not there.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        fs::create_dir_all(directory).map_err(io_error("create the directory", directory))?;
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    /// What the file says: the genesis, and whether every disk holds it. A damaged file is put
    /// aside: the replicas know.
    pub fn load(&self, cluster_name: &str) -> Result<Option<(Genesis, bool)>, Error> {
        let path = self.directory.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let version = json.get("version").and_then(serde_json::Value::as_u64);
        if let Some(found) = version.filter(|found| *found > u64::from(VERSION)) {
            return Err(Error::Version {
                path,
                found: u32::try_from(found).unwrap_or(u32::MAX),
            });
        }
        let content = match serde_json::from_value::<Content>(json) {
            Ok(content) if content.genesis.check().is_ok() => content,
            _ => {
                let aside = self.directory.join(format!("{FILE}.damaged"));
                fs::rename(&path, &aside).map_err(io_error("put aside", &path))?;
                tracing::warn!(
                    file = %path.display(), aside = %aside.display(),
                    "the file is damaged and was put aside; the replicas know what it said"
                );
                return Ok(None);
            }
        };
        if content.genesis.cluster_name != cluster_name {
            let found = content.genesis.cluster_name;
            return Err(Error::OtherCluster {
                path,
                found,
                wanted: cluster_name.to_owned(),
            });
        }
        Ok(Some((content.genesis, content.held)))
    }

    /// Makes the genesis durable. Blocks for the disk.
    pub fn save(&self, genesis: &Genesis, held: bool) -> Result<(), Error> {
        let content = Content {
            version: VERSION,
            genesis: genesis.clone(),
            held,
        };
        self.write(FILE, &content)
    }

    /// The addresses of the places that are drained. A damaged file is put aside: the operator
    /// drains again.
    pub fn load_draining(&self) -> Result<BTreeSet<String>, Error> {
        let path = self.directory.join(DRAINING_FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        let found = serde_json::from_slice::<BTreeSet<String>>(&bytes);
        found.or_else(|error| {
            let aside = self.directory.join(format!("{DRAINING_FILE}.damaged"));
            fs::rename(&path, &aside).map_err(io_error("put aside", &path))?;
            tracing::warn!(
                file = %path.display(), aside = %aside.display(), %error,
                "the file is damaged and was put aside: nothing is drained any more, see \
                 `chatterctl node drain`"
            );
            Ok(BTreeSet::new())
        })
    }

    /// Makes durable which places are drained. Blocks for the disk.
    pub fn save_draining(&self, addresses: &BTreeSet<String>) -> Result<(), Error> {
        self.write(DRAINING_FILE, addresses)
    }

    fn write(&self, name: &str, content: &impl Serialize) -> Result<(), Error> {
        let path = self.directory.join(name);
        let temporary = self.directory.join(format!("{name}.new"));
        let bytes = serde_json::to_vec_pretty(content)
            .map_err(|error| io_error("encode", &path)(io::Error::other(error)))?;
        let write = || -> io::Result<()> {
            let mut file = File::create(&temporary)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(io_error("write", &path))
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, FILE, Genesis, Store};

    fn genesis() -> Genesis {
        let disks = vec![("disk".to_owned(), "h:1".to_owned())];
        Genesis::new("id".to_owned(), "name".to_owned(), disks)
    }

    #[test]
    fn keeps_what_was_saved() {
        let directory = tempfile::tempdir().expect("directory");
        let store = Store::open(&directory.path().join("a/b")).expect("open");
        assert!(store.load("name").expect("load").is_none());
        store.save(&genesis(), false).expect("save");
        store.save(&genesis(), true).expect("save");
        assert_eq!(store.load("name").expect("load"), Some((genesis(), true)));
    }

    #[test]
    fn keeps_which_places_are_drained() {
        let directory = tempfile::tempdir().expect("directory");
        let store = Store::open(directory.path()).expect("open");
        assert!(store.load_draining().expect("load").is_empty());
        let places = ["h:1".to_owned()].into();
        store.save_draining(&places).expect("save");
        assert_eq!(store.load_draining().expect("load"), places);
        std::fs::write(directory.path().join("draining.json"), "{").expect("write");
        assert!(store.load_draining().expect("load").is_empty());
        assert!(directory.path().join("draining.json.damaged").exists());
    }

    #[test]
    fn a_damaged_file_is_put_aside_and_a_foreign_one_is_refused() {
        let directory = tempfile::tempdir().expect("directory");
        let store = Store::open(directory.path()).expect("open");
        for damage in ["", "{", "{\"version\": 1}", "[]"] {
            std::fs::write(directory.path().join(FILE), damage).expect("write");
            assert!(store.load("name").expect("load").is_none(), "{damage:?}");
            assert!(!directory.path().join(FILE).exists());
        }
        store.save(&genesis(), true).expect("save");
        assert!(matches!(
            store.load("other"),
            Err(Error::OtherCluster { .. })
        ));
        std::fs::write(directory.path().join(FILE), "{\"version\": 2}").expect("write");
        assert!(matches!(
            store.load("name"),
            Err(Error::Version { found: 2, .. })
        ));
    }
}
