//! Keeps log files of running processes bounded.
//!
//! The processes append to the files themselves, so that they go on when the supervisor dies.
//! Rotation copies the file and empties it; lines written in between are lost, a few at most.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ops::shutdown::Token;

/// Of one file; with its predecessor a process has at most twice as much.
pub(crate) const BYTES_MAX: u64 = 16 * 1024 * 1024;

const PAUSE: Duration = Duration::from_secs(5);

/// Empties `path` when it is larger than `bytes_max`; its content goes to `path.1`.
pub(crate) fn rotate(path: &Path, bytes_max: u64) -> io::Result<bool> {
    let size = match fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if size <= bytes_max {
        return Ok(false);
    }
    let mut older = path.as_os_str().to_owned();
    older.push(".1");
    fs::copy(path, &older)?;
    File::options().write(true).open(path)?.set_len(0)?;
    Ok(true)
}

/// Looks at the files until `shutdown`.
pub(crate) async fn watch(paths: Vec<PathBuf>, shutdown: Token) {
    let mut pause = tokio::time::interval(PAUSE);
    while shutdown.run_until_cancelled(pause.tick()).await.is_some() {
        for path in &paths {
            if let Err(error) = rotate(path, BYTES_MAX) {
                tracing::warn!(file = %path.display(), %error, "cannot rotate");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{File, fs, rotate};

    #[test]
    fn the_writer_goes_on_at_the_beginning() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("x.log");
        assert!(!rotate(&path, 3).expect("absent"));
        let mut writer = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .expect("open");
        writer.write_all(b"abc").expect("write");
        assert!(!rotate(&path, 3).expect("small"));
        writer.write_all(b"d").expect("write");
        assert!(rotate(&path, 3).expect("large"));
        writer.write_all(b"e").expect("write");
        assert_eq!(fs::read(&path).expect("new"), b"e");
        assert_eq!(
            fs::read(directory.path().join("x.log.1")).expect("old"),
            b"abcd"
        );
    }
}
