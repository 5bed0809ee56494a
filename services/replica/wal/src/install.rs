//! A snapshot takes the place of rows: announced, then completed in one transaction.
//!
//! state.db is swapped for a snapshot between the two steps, so a crash may leave state.db ahead
//! of the log. Without the announcement that could not be told from a log that lost what it had:
//! an older log.db put back, or its WAL deleted. That one must never vote again; this one only
//! has to complete the installation. Tested in: `tests/snapshot.rs`, `tests/crash.rs`.
//!
//! ```text
//! announce_snapshot(base)    durable: "state.db is going to be at this slot"
//! (swap state.db)            rename, fsync of the directory
//! install_snapshot(base)     one transaction: rows up to the slot do not count any more
//! ```
//!
//! At start: when [`Wal::awaits_snapshot`] says so of what state.db holds, call
//! [`Wal::install_snapshot`] before [`Wal::restore`].

use paxos::ids::{Epoch, Slot};

use crate::error::Error;
use crate::log::Wal;
use crate::restore::Base;
use crate::rows;

impl Wal {
    /// Makes durable that state.db is going to be swapped for this snapshot. A later
    /// announcement replaces an earlier one.
    pub fn announce_snapshot(&mut self, base: &Base) -> Result<(), Error> {
        let incoming = Some((base.slot, base.chain));
        self.update_meta(|meta| meta.incoming = incoming)
    }

    /// Whether `base`, which state.db holds, is the snapshot announced and not yet installed
    /// here: the process ended between the two.
    #[must_use]
    pub fn awaits_snapshot(&self, base: &Base) -> bool {
        self.state().meta.incoming == Some((base.slot, base.chain))
    }

    /// Puts the snapshot that state.db holds in the place of all rows up to its slot. In one
    /// transaction: they do not count any more, the commit index is at least there, and its
    /// configuration is the active one if it is newer. Then, and only then, rows above it are
    /// deleted: they are of earlier epochs. The promise stays. A snapshot at or below the commit
    /// index is a compaction. Done again, it does nothing.
    ///
    /// # Errors
    /// [`Error::Diverged`] when the log holds another history at its slot; [`Error::Contract`]
    /// when it was not announced or is of an earlier epoch than the log; [`Error::RowsLost`].
    pub fn install_snapshot(&mut self, base: &Base) -> Result<(), Error> {
        let decided = self.state().progress.decided;
        let known = base.slot <= decided;
        if known {
            self.require_same_history(base)?;
        } else {
            self.require_expected(base)?;
        }
        let active = self.state().active_epoch();
        let begins = base
            .configuration
            .as_ref()
            .filter(|next| next.epoch > active);
        if begins.is_some_and(|next| next.start > base.slot) {
            return Err(self.contract(format!(
                "a snapshot at {} names an epoch that begins above it",
                base.slot
            )));
        }
        let above = rows::count_above(self.connection()?, self.path(), base.slot)?;
        self.transact("install a snapshot in", |transaction| {
            if known {
                transaction.forget_upto(base.slot);
            } else {
                let progress = &mut transaction.state().progress;
                progress.decided = base.slot;
                progress.chain = base.chain;
                transaction.forget_upto(base.slot);
                transaction.state().progress.rows = above;
            }
            if let Some(next) = begins {
                transaction.begin_epoch(next)?;
            }
            transaction.update_meta(|meta| meta.incoming = None);
            Ok(())
        })?;
        tracing::info!(
            path = %self.path().display(), slot = %base.slot, was = %decided,
            "snapshot installed"
        );
        Ok(())
    }

    /// Refuses a snapshot above the commit index that nobody announced, that is of an epoch
    /// before the active one, or that would hide the loss of undecided rows.
    fn require_expected(&self, base: &Base) -> Result<(), Error> {
        let state = self.state();
        let epoch = base
            .configuration
            .as_ref()
            .map_or(Epoch::FIRST, |configuration| configuration.epoch);
        let active = state.active_epoch();
        if !self.awaits_snapshot(base) {
            return Err(self.contract(format!(
                "a snapshot at {} was installed without an announcement",
                base.slot
            )));
        }
        if epoch < active {
            return Err(self.contract(format!(
                "a snapshot at {} is of epoch {epoch}, the log of epoch {active}",
                base.slot
            )));
        }
        self.count_rows(state.progress.decided.max(state.meta.compacted_to))
    }

    /// Refuses a snapshot at or below the commit index whose chain is not that of the log.
    fn require_same_history(&self, base: &Base) -> Result<(), Error> {
        let state = self.state();
        let found = if base.slot == state.progress.decided {
            Some(state.progress.chain)
        } else if base.slot <= state.meta.compacted_to || base.slot == Slot::GENESIS {
            None
        } else {
            // A damaged row proves nothing.
            let row = self.find(base.slot)?;
            row.and_then(Result::ok).map(|entry| entry.chain)
        };
        match found {
            Some(found) if found != base.chain => Err(Error::Diverged {
                path: self.path().to_path_buf(),
                slot: base.slot,
                found,
                other: "the snapshot",
                expected: base.chain,
            }),
            _ => Ok(()),
        }
    }
}
