//! What processes cost, as Linux counts it: CPU time, memory, bytes written.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Ticks of `/proc/PID/stat` per second: Linux has told user space 100 for ever.
const TICKS_PER_SECOND: u64 = 100;

/// What some processes have used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// User and system time, in microseconds.
    pub cpu_us: u64,
    /// Resident memory, in KiB.
    pub rss_kib: u64,
    /// Bytes that went towards the disk.
    pub written_bytes: u64,
}

impl Usage {
    /// What was used since `before`; memory as it is now.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            cpu_us: self.cpu_us.saturating_sub(before.cpu_us),
            rss_kib: self.rss_kib,
            written_bytes: self.written_bytes.saturating_sub(before.written_bytes),
        }
    }
}

/// What the processes have used; those that have ended count nothing.
#[must_use]
pub fn usage(pids: &[u32]) -> Usage {
    let mut sum = Usage::default();
    for one in pids.iter().filter_map(|pid| read(&pid.to_string()).ok()) {
        sum.cpu_us += one.cpu_us;
        sum.rss_kib += one.rss_kib;
        sum.written_bytes += one.written_bytes;
    }
    sum
}

/// What this process has used.
///
/// # Errors
/// When `/proc` is not there.
pub fn own() -> Result<Usage> {
    read("self")
}

fn read(pid: &str) -> Result<Usage> {
    let folder = Path::new("/proc").join(pid);
    let text = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    };
    let ticks = ticks(&text("stat")?).context("stat has user and system time")?;
    Ok(Usage {
        cpu_us: ticks * (1_000_000 / TICKS_PER_SECOND),
        rss_kib: number_after(&text("status")?, "VmRSS:"),
        // Not readable for processes of somebody else.
        written_bytes: text("io").map_or(0, |io| number_after(&io, "\nwrite_bytes:")),
    })
}

/// The sum of `utime` and `stime`. The name before them may hold anything, also spaces.
fn ticks(stat: &str) -> Option<u64> {
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

fn number_after(text: &str, key: &str) -> u64 {
    let rest = text.split_once(key).map_or("", |(_, rest)| rest);
    let word = rest.split_whitespace().next().unwrap_or_default();
    word.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name with spaces and brackets must not shift the fields.
    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 42 8 0 0 20 0";
        assert_eq!(ticks(stat), Some(50));
        assert_eq!(ticks("nonsense"), None);
        assert_eq!(number_after("a: 1\nVmRSS:\t  512 kB\n", "VmRSS:"), 512);
        assert_eq!(
            number_after("cancelled_write_bytes: 9", "\nwrite_bytes:"),
            0
        );
    }

    /// What this process burns shows in its own figures.
    #[test]
    fn own_time_passes() {
        let before = own().unwrap();
        let began = std::time::Instant::now();
        let mut sum = 0_u64;
        while began.elapsed().as_millis() < 200 || own().unwrap().cpu_us == before.cpu_us {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        let used = own().unwrap().since(before);
        assert!(used.cpu_us > 0 && used.rss_kib > 0, "{used:?} {sum}");
    }
}
