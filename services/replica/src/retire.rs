//! A voter that was removed: its files go aside, and the disk begins anew as another node.
//!
//! An id votes once, from the epoch that takes it in to the one that leaves it out (section
//! 2.10). That the epoch is decided, and its `Ready` too, is proof that the files are needed no
//! more: a quorum of the new voters has the prefix on disk. Nothing is deleted but what an
//! earlier removal left: `retired/` holds the files of the latest one, for people.
//!
//! A mark in the directory makes it whole: it is written before the first file moves and goes
//! after the last one, and no log is opened while it is there. Tests: below, tests/scenarios.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use paxos::ids::{Epoch, NodeId};
use wal::DirectoryLock;

use crate::errors::Error;

/// Where the files go, in the same file system.
const DIRECTORY: &str = "retired";
/// The mark. It holds the name of the directory in `retired/`.
const MARK: &str = "retiring";
/// Belongs to the place, not to the node: the reserve for a full disk.
const BALLAST: &str = "log.ballast";

/// Moves everything of `node` aside. Nobody may have a file open. Blocks.
pub(crate) fn retire(data: &Path, node: NodeId, epoch: Epoch) -> Result<(), Error> {
    let name = format!("{node}-until-epoch-{}", epoch.0);
    let temporary = data.join("retiring.new");
    let marked = || -> io::Result<()> {
        let mut mark = File::create(&temporary)?;
        mark.write_all(name.as_bytes())?;
        mark.sync_all()?;
        fs::rename(&temporary, data.join(MARK))?;
        sync(data)
    };
    marked().map_err(failed("mark the files of the removed node"))?;
    finish(data)
}

/// Completes what a crash interrupted. To be called before a log is opened. Blocks.
pub(crate) fn finish(data: &Path) -> Result<(), Error> {
    let mark = data.join(MARK);
    match mark.try_exists() {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        // No directory: who makes it next says what is wrong with its path.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(()),
        Err(error) => return Err(failed("look for the mark")(error)),
    }
    let _lock = DirectoryLock::take(data)?;
    let moved = || -> io::Result<()> {
        let name = match fs::read_to_string(&mark) {
            Ok(name) => name,
            // Another process has completed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let (retired, target) = (data.join(DIRECTORY), data.join(DIRECTORY).join(&name));
        fs::create_dir_all(&target)?;
        drop_earlier(&retired, &name)?;
        for entry in fs::read_dir(data)? {
            let entry = entry?;
            let file = entry.file_name();
            let stays = [DIRECTORY, MARK, BALLAST, DirectoryLock::FILE];
            if !stays.iter().any(|name| file == **name) {
                fs::rename(entry.path(), target.join(&file))?;
            }
        }
        for directory in [&target, &retired] {
            sync(directory)?;
        }
        sync(data)?;
        fs::remove_file(&mark)?;
        sync(data)?;
        tracing::warn!(
            aside = %target.display(),
            "this node was removed from the voters by a decided configuration: its files were \
             moved aside, and this disk begins anew as another node"
        );
        Ok(())
    };
    moved().map_err(failed("move the files of the removed node aside"))
}

/// One removal is kept. More would fill the disk of a place that fails again and again.
fn drop_earlier(retired: &Path, keep: &str) -> io::Result<()> {
    for entry in fs::read_dir(retired)? {
        let entry = entry?;
        if entry.file_name() != keep && entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::System { doing, source }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Epoch, NodeId, finish, retire};

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory");
        let name = |entry: std::io::Result<fs::DirEntry>| {
            let name = entry.expect("an entry").file_name();
            name.into_string().expect("a name")
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    fn replica(data: &Path) {
        for file in ["log.db", "log.ballast", "state.db", "state.db-wal"] {
            fs::write(data.join(file), file).expect("written");
        }
        fs::create_dir_all(data.join("snapshot")).expect("made");
        fs::write(data.join("snapshot/part"), "x").expect("written");
    }

    /// Everything of the node goes; the lock and the ballast are of the place. The removal
    /// before the last one goes for good.
    #[test]
    fn the_files_of_one_removal_are_kept() {
        let directory = tempfile::tempdir().expect("directory");
        let data = directory.path();
        for (node, epoch) in [(2, 2), (1030, 4)] {
            replica(data);
            retire(data, NodeId(node), Epoch(epoch)).expect("moved");
        }
        assert_eq!(names(data), ["log.ballast", "log.lock", "retired"]);
        assert_eq!(names(&data.join("retired")), ["r1030-until-epoch-4"]);
        assert_eq!(
            names(&data.join("retired/r1030-until-epoch-4")),
            ["log.db", "snapshot", "state.db", "state.db-wal"]
        );
    }

    /// A crash after any number of moves: the next start completes it before it opens a log.
    #[test]
    fn an_interrupted_removal_is_completed() {
        for moved in [&[][..], &["state.db"], &["log.db", "state.db"]] {
            let directory = tempfile::tempdir().expect("directory");
            let data = directory.path();
            replica(data);
            fs::write(data.join("retiring"), "r2-until-epoch-2").expect("marked");
            let target = data.join("retired/r2-until-epoch-2");
            fs::create_dir_all(&target).expect("made");
            for file in moved {
                fs::rename(data.join(file), target.join(file)).expect("moved");
            }
            finish(data).expect("completed");
            assert_eq!(names(data), ["log.ballast", "log.lock", "retired"]);
            assert_eq!(names(&target).len(), 4);
            finish(data).expect("nothing to do");
        }
    }

    #[test]
    fn without_a_mark_nothing_moves() {
        let directory = tempfile::tempdir().expect("directory");
        replica(directory.path());
        let before = names(directory.path());
        finish(directory.path()).expect("nothing to do");
        assert_eq!(names(directory.path()), before);
    }
}
