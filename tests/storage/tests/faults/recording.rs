//! A run of the production log on a recorded disk.
//!
//! It marks in the recording what was asked and what was acknowledged, for `crash.rs`.

use std::sync::Arc;

use storage::Disk;
use wal::{Base, Error, Wal};

use crate::crash::Survivor;
use crate::model::{History, Request};
use crate::verdict;
use crate::workload::{Payloads, Workload};

/// The production log on a recorded disk, with what it must hold.
pub(crate) struct Recording {
    pub(crate) disk: Arc<Disk>,
    wal: Option<Wal>,
    pub(crate) history: History,
    workload: Workload,
    /// Requests that were acknowledged.
    pub(crate) acked: usize,
}

/// Executes a request alone.
pub(crate) fn execute(wal: &mut Wal, request: &Request) -> Result<(), Error> {
    match request {
        Request::Ops(ops) => wal.commit(ops).map(drop),
        Request::Genesis(genesis) => wal.install_genesis(genesis),
        Request::Confirm => wal.confirm_genesis(),
        Request::Peers(peers) => wal.remember_peers(peers),
        Request::Announce(base) => wal.announce_snapshot(base),
        Request::Install(base) => wal.install_snapshot(base),
    }
}

impl Recording {
    /// A new log on a sound disk.
    pub(crate) fn new(seed: u64) -> Self {
        Self::on(Arc::new(Disk::empty().unwrap()), seed).unwrap()
    }

    /// A new log on an empty disk.
    ///
    /// # Errors
    /// Those of the log, if its disk was told to fail.
    pub(crate) fn on(disk: Arc<Disk>, seed: u64) -> Result<Self, Error> {
        let mut wal = Wal::open(disk.path())?;
        let found = verdict::start(&mut wal, &Base::EMPTY)?;
        disk.mark(0, 0);
        Ok(Self {
            disk,
            wal: Some(wal),
            history: History::new(found.state, &Base::EMPTY),
            workload: Workload::new(seed, Payloads::Mixed, &Base::EMPTY),
            acked: 0,
        })
    }

    /// Goes on with what a crash left.
    pub(crate) fn resume(survivor: &Survivor, seed: u64) -> Self {
        let disk = Arc::new(Disk::holding(&survivor.image).unwrap());
        disk.mark(0, 0);
        let mut wal = Wal::open(disk.path()).unwrap();
        let found = verdict::start(&mut wal, &survivor.base).unwrap();
        assert_eq!(found, survivor.found, "the same image, the same state");
        // The replica applies what its log says is decided before it goes on.
        let base = &survivor.caught_up;
        Self {
            disk,
            wal: Some(wal),
            history: History::new(found.state, base),
            workload: Workload::new(seed, Payloads::Mixed, base),
            acked: 0,
        }
    }

    /// Asks for one more request and waits for it.
    pub(crate) fn step(&mut self) -> Result<(), Error> {
        let request = self.workload.ask(&mut self.history, self.acked);
        let asked = self.history.asked();
        self.disk.mark(asked, self.acked);
        let wal = self.wal.as_mut().unwrap();
        if let Err(error) = execute(wal, &request) {
            let calls = self.disk.calls();
            let again = execute(wal, &request);
            assert!(
                matches!(again, Err(Error::Stopped)),
                "{again:?} after {error}"
            );
            self.wal = None;
            assert_eq!(self.disk.calls(), calls, "nothing is written after {error}");
            return Err(error);
        }
        self.acked = asked;
        self.disk.mark(asked, asked);
        Ok(())
    }

    /// Stops the log properly and opens it again.
    ///
    /// # Errors
    /// Those of the log, if its disk was told to fail.
    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        self.wal = None;
        let mut wal = Wal::open(self.disk.path())?;
        let base = self.history.bases_after(self.acked, self.acked)[0];
        let found = verdict::start(&mut wal, base)?;
        let number = verdict::matching(&self.history, self.acked, self.acked, base, &found);
        assert_eq!(number, Ok(self.acked), "a clean stop changes nothing");
        self.wal = Some(wal);
        Ok(())
    }

    /// Steps, with a restart in the middle.
    ///
    /// # Errors
    /// Those of the log, if its disk was told to fail.
    pub(crate) fn steps(&mut self, count: usize) -> Result<(), Error> {
        for number in 0..count {
            if number == count / 2 {
                self.restart()?;
            }
            self.step()?;
        }
        Ok(())
    }

    /// Stops the log. Nothing escaped the layer.
    pub(crate) fn stop(&mut self) {
        self.wal = None;
        self.disk.verify().unwrap();
    }
}
