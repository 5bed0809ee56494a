//! Decided rows in pages, for bringing the state machine up to the commit index at start.

use paxos::entry::{Chain, Entry};
use paxos::ids::Slot;
use paxos::limits::PAGE_BYTES;

use crate::error::Error;
use crate::log::Wal;
use crate::restore::Base;

/// Pages of decided rows. Each row was checked against the one before it: checksum, slot and
/// chain. Ends after the first error.
#[derive(Debug)]
pub struct Replay<'a> {
    wal: &'a Wal,
    /// The next slot to read.
    from: Slot,
    /// The last one.
    upto: Slot,
    /// The chain at the slot before `from`.
    chain: Chain,
}

impl<'a> Replay<'a> {
    /// The rows above `base` up to `decided`.
    pub(crate) const fn new(wal: &'a Wal, base: &Base, decided: Slot) -> Self {
        Self {
            wal,
            from: base.slot.next(),
            upto: decided,
            chain: base.chain,
        }
    }

    fn page(&mut self) -> Result<Vec<Entry>, Error> {
        let entries = self.wal.read_rows(self.from, self.upto, PAGE_BYTES)?;
        for entry in &entries {
            if !entry.follows(self.chain) {
                return Err(Error::Damaged {
                    path: self.wal.path().to_path_buf(),
                    slot: entry.slot,
                    decided: true,
                    why: "it does not follow the row before it".to_owned(),
                });
            }
            self.chain = entry.chain;
            self.from = entry.slot.next();
        }
        Ok(entries)
    }
}

impl Iterator for Replay<'_> {
    type Item = Result<Vec<Entry>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.from > self.upto {
            return None;
        }
        let page = self.page();
        if page.is_err() {
            self.upto = Slot::GENESIS;
        }
        Some(page)
    }
}
