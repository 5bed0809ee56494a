//! Decided rows in pages, for bringing the state machine up to the commit index at start.

use paxos::entry::{Chain, Entry};
use paxos::ids::Slot;
use paxos::limits::PAGE_BYTES;

use crate::error::Error;
use crate::log::Wal;

/// Pages of decided rows. Each row was checked against the one before it: checksum, slot and
/// chain. Ends after the first error.
#[derive(Debug)]
pub struct Replay<'a> {
    wal: &'a Wal,
    /// The next slot to read.
    from: Slot,
    /// The last one.
    upto: Slot,
    /// The chain at the slot before `from`; unknown when that row was compacted away.
    chain: Option<Chain>,
}

impl<'a> Replay<'a> {
    /// The rows in `(applied, decided]`.
    pub(crate) fn new(wal: &'a Wal, applied: Slot, decided: Slot) -> Result<Self, Error> {
        let chain = if applied == Slot::GENESIS {
            Some(Chain::GENESIS)
        } else {
            wal.row(applied)?.map(|entry| entry.chain)
        };
        Ok(Self {
            wal,
            from: applied.next(),
            upto: decided,
            chain,
        })
    }

    fn page(&mut self) -> Result<Vec<Entry>, Error> {
        let entries = self.wal.read_rows(self.from, self.upto, PAGE_BYTES)?;
        for entry in &entries {
            if self.chain.is_some_and(|previous| !entry.follows(previous)) {
                return Err(Error::Damaged {
                    path: self.wal.path().to_path_buf(),
                    slot: entry.slot,
                    decided: true,
                    why: "it does not follow the row before it".to_owned(),
                });
            }
            self.chain = Some(entry.chain);
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
