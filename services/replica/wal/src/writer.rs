//! The thread that owns the log: group commit, reads between commits, one report per commit.
//!
//! Must hold: requests are executed in the order in which they were queued; a completion comes
//! after its transaction is durable; after an error nothing is written. Tested in:
//! `tests/writer.rs`.
//!
//! Group commit needs no timer: while one commit waits for the disk, everything that arrives
//! joins the next one.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use paxos::entry::Entry;
use paxos::ids::{DiskSeq, PersistSeq, Slot};
use paxos::output::PersistOp;

use crate::checkpoint;
use crate::error::Error;
use crate::limits::{GROUP_BYTES_MAX, GROUP_REQUESTS_MAX, READS_MAX, REQUESTS_MAX, SWEEP_QUIET};
use crate::log::{Peers, Wal};
use crate::scrub::{Scrub, ScrubReply};
use crate::sweep::Portion;

/// What the writer reports, on its own thread. Must not block for long: no commit meanwhile.
#[derive(Debug)]
pub enum Completion {
    /// A transaction is durable.
    Persisted {
        /// All persist requests up to this one are durable.
        seq: PersistSeq,
        /// The transaction's number on this disk.
        disk_seq: DiskSeq,
        /// How many persist requests it held.
        requests: usize,
        /// How many rows it held.
        rows: usize,
        /// How long it took, the fsync included, in microseconds.
        commit_us: u64,
    },
    /// The last report: nothing more is written. Abort the process, keep the files.
    Fatal(Error),
}

/// Takes the rows that were read, on the writer's thread. Not called when the writer stops
/// before the read's turn.
pub type ReadReply = Box<dyn FnOnce(Result<Vec<Entry>, Error>) + Send>;

/// Takes the reports.
type Report = Box<dyn Fn(Completion) + Send>;

enum Request {
    Persist {
        seq: PersistSeq,
        ops: Vec<PersistOp>,
    },
    Read(Read),
    Scrub(Scrub),
    RememberPeers(Peers),
    Stop,
}

struct Read {
    from: Slot,
    upto: Slot,
    bytes_max: usize,
    reply: ReadReply,
}

/// Gives work to the writer. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    requests: SyncSender<Request>,
    /// Requests sent and not yet taken by the thread.
    queued: Arc<AtomicUsize>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("queued", &self.queued())
            .finish()
    }
}

impl Handle {
    /// Makes `ops` durable after all earlier requests; `seq` must be higher than theirs. Waits
    /// only while [`REQUESTS_MAX`] requests are queued: see [`Handle::queued`].
    pub fn persist(&self, seq: PersistSeq, ops: Vec<PersistOp>) -> Result<(), Error> {
        self.send(Request::Persist { seq, ops })
    }

    /// Reads decided rows: see [`Wal::read_rows`]. Answered after the commit that is running
    /// and those of requests queued before, with [`Error::Busy`] if too many reads wait.
    pub fn read(
        &self,
        from: Slot,
        upto: Slot,
        bytes_max: usize,
        reply: ReadReply,
    ) -> Result<(), Error> {
        self.send(Request::Read(Read {
            from,
            upto,
            bytes_max,
            reply,
        }))
    }

    /// Checks decided rows, at most `slots` from `from` on, in the background: a little between
    /// two commits. What was compacted away is passed over. One check at a time: a second one is
    /// answered with [`Error::Busy`]. [`Error::Corrupt`] in the answer means that the file's
    /// structure is damaged: stop the replica.
    ///
    /// A damaged row is dealt with by a restart: [`Wal::restore`] checks the file's structure
    /// and says which rows have to be fetched again or compacted away. If the structure is
    /// known to be sound, compacting up to it does as well.
    pub fn scrub(&self, from: Slot, slots: u64, reply: ScrubReply) -> Result<(), Error> {
        self.send(Request::Scrub(Scrub::new(from, slots, reply)))
    }

    /// Replaces the cached addresses, some time soon.
    pub fn remember_peers(&self, peers: Peers) -> Result<(), Error> {
        self.send(Request::RememberPeers(peers))
    }

    /// Requests that wait for the writer: a measure of how far the disk is behind.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    fn send(&self, request: Request) -> Result<(), Error> {
        self.queued.fetch_add(1, Ordering::Relaxed);
        self.requests.send(request).map_err(|_| Error::Stopped)
    }
}

/// Owns the thread. Dropping it stops the thread, too, and waits for it.
#[derive(Debug)]
pub struct Writer {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Gives work to the thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Executes what was queued before, closes the log and waits for the thread.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // An error means that the thread is gone already.
        let _ = self.handle.send(Request::Stop);
        if let Some(thread) = self.thread.take() {
            // It catches its panics.
            let _ = thread.join();
        }
    }
}

impl Wal {
    /// Hands the log to a thread of its own. Refused before the identity is confirmed: nobody
    /// votes earlier (section 2.10).
    ///
    /// `report` must never wait for the thread that calls [`Handle::persist`], or both wait for
    /// ever. Completions are cumulative: keeping the last one only is enough, and a queue with
    /// room for [`REQUESTS_MAX`] never fills.
    pub fn spawn(self, report: Box<dyn Fn(Completion) + Send>) -> Result<Writer, Error> {
        self.require_confirmed()?;
        let (sender, requests) = sync_channel(REQUESTS_MAX);
        let queued = Arc::new(AtomicUsize::new(0));
        let handle = Handle {
            requests: sender,
            queued: Arc::clone(&queued),
        };
        let path = self.path().to_path_buf();
        let task = Task {
            wal: self,
            requests,
            queued,
            report,
            reads: VecDeque::new(),
            scrub: None,
            last_seq: PersistSeq(0),
            tidy: true,
            sweeping: false,
        };
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || task.run())
            .map_err(|source| Error::Io {
                doing: "start the writer of",
                path,
                source,
            })?;
        Ok(Writer {
            handle,
            thread: Some(thread),
        })
    }
}

/// The requests of one transaction.
#[derive(Default)]
struct Group {
    ops: Vec<PersistOp>,
    /// The last persist request in it.
    seq: Option<PersistSeq>,
    requests: usize,
    rows: u64,
    bytes: usize,
    peers: Option<Peers>,
}

impl Group {
    fn is_empty(&self) -> bool {
        self.requests == 0 && self.peers.is_none()
    }

    fn is_full(&self) -> bool {
        self.requests >= GROUP_REQUESTS_MAX || self.bytes >= GROUP_BYTES_MAX
    }
}

/// How gathering ended.
#[derive(PartialEq, Eq)]
enum Gathered {
    /// More is queued than fits one transaction.
    Full,
    /// Everything that was queued was taken.
    All,
    /// Nothing came for a while, and the last thing that came was a change.
    Idle,
    /// Nothing will come any more.
    End,
}

/// The state of the thread.
struct Task {
    wal: Wal,
    requests: Receiver<Request>,
    queued: Arc<AtomicUsize>,
    report: Report,
    reads: VecDeque<Read>,
    /// The check under way.
    scrub: Option<Scrub>,
    last_seq: PersistSeq,
    /// Whether nothing was committed since the writer last tidied up.
    tidy: bool,
    /// Whether the last thing done was to delete rows, because nothing came.
    sweeping: bool,
}

impl Task {
    fn run(mut self) {
        let ended = catch_unwind(AssertUnwindSafe(|| self.serve()));
        let error = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(_) => Error::Contract {
                path: self.wal.path().to_path_buf(),
                what: "the log's writer panicked".to_owned(),
            },
        };
        self.wal.abandon();
        tracing::error!(%error, "the log can no longer be written");
        (self.report)(Completion::Fatal(error));
    }

    fn serve(&mut self) -> Result<(), Error> {
        loop {
            let mut group = Group::default();
            let gathered = self.gather(&mut group)?;
            if !group.is_empty() {
                self.commit(group)?;
            }
            // One read per turn: a replica that catches up delays a commit by one page at most.
            if let Some(read) = self.reads.pop_front() {
                (read.reply)(self.wal.read_rows(read.from, read.upto, read.bytes_max));
            }
            self.scrub_on();
            match gathered {
                Gathered::Full => self.wal.checkpoint_from(checkpoint::WAL_BYTES_MAX)?,
                Gathered::All => self.wal.checkpoint_from(checkpoint::WAL_BYTES_QUIET)?,
                Gathered::Idle if self.wal.has_garbage() => {
                    self.wal.sweep_quietly()?;
                    (self.sweeping, self.tidy) = (true, false);
                    self.wal.checkpoint_from(checkpoint::WAL_BYTES_QUIET)?;
                }
                Gathered::Idle => {
                    self.wal.seal()?;
                    (self.sweeping, self.tidy) = (false, true);
                }
                Gathered::End if self.reads.is_empty() => return Ok(()),
                Gathered::End => {}
            }
        }
    }

    /// Takes everything that is queued, up to a full group. Waits if there is nothing to do.
    fn gather(&mut self, group: &mut Group) -> Result<Gathered, Error> {
        if self.reads.is_empty() && self.scrub.is_none() {
            match self.wait() {
                Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    return Ok(Gathered::End);
                }
                Ok(request) => self.take(group, request)?,
                Err(RecvTimeoutError::Timeout) => return Ok(Gathered::Idle),
            }
        }
        while !group.is_full() {
            match self.requests.try_recv() {
                Ok(Request::Stop) | Err(TryRecvError::Disconnected) => return Ok(Gathered::End),
                Ok(request) => self.take(group, request)?,
                Err(TryRecvError::Empty) => return Ok(Gathered::All),
            }
        }
        Ok(Gathered::Full)
    }

    /// Waits for a request, but not for ever while there is something to tidy up.
    fn wait(&self) -> Result<Request, RecvTimeoutError> {
        let patience = match (self.wal.has_garbage(), self.sweeping) {
            (true, true) => Duration::ZERO,
            (true, false) => SWEEP_QUIET,
            (false, _) if self.tidy => {
                return self
                    .requests
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected);
            }
            (false, _) => checkpoint::IDLE,
        };
        self.requests.recv_timeout(patience)
    }

    /// Goes on with the check of rows, for a short while.
    fn scrub_on(&mut self) {
        let Some(mut scrub) = self.scrub.take() else {
            return;
        };
        match self.wal.scrub_slice(&mut scrub) {
            Ok(ControlFlow::Continue(())) => self.scrub = Some(scrub),
            Ok(ControlFlow::Break(next)) => {
                let (reply, found) = scrub.finish(next);
                reply(Ok(found));
            }
            Err(error) => (scrub.reply)(Err(error)),
        }
    }

    /// Puts a request where it belongs.
    fn take(&mut self, group: &mut Group, request: Request) -> Result<(), Error> {
        self.queued.fetch_sub(1, Ordering::Relaxed);
        self.sweeping = false;
        match request {
            Request::Persist { seq, mut ops } => {
                if seq <= self.last_seq {
                    let last = self.last_seq;
                    return Err(Error::Contract {
                        path: self.wal.path().to_path_buf(),
                        what: format!("persist request {seq} came after {last}"),
                    });
                }
                self.last_seq = seq;
                group.seq = Some(seq);
                group.requests += 1;
                let (rows, bytes) = weight(&ops);
                group.rows += rows;
                group.bytes = group.bytes.saturating_add(bytes);
                group.ops.append(&mut ops);
            }
            Request::Read(read) if self.reads.len() < READS_MAX => self.reads.push_back(read),
            Request::Read(read) => (read.reply)(Err(Error::Busy)),
            Request::Scrub(scrub) if self.scrub.is_none() => self.scrub = Some(scrub),
            Request::Scrub(scrub) => (scrub.reply)(Err(Error::Busy)),
            Request::RememberPeers(peers) => group.peers = Some(peers),
            Request::Stop => {}
        }
        Ok(())
    }

    fn commit(&mut self, group: Group) -> Result<(), Error> {
        self.tidy = false;
        let started = Instant::now();
        let portion = Portion::beside(group.rows, group.bytes as u64);
        let committed = self.wal.transact("write to", |transaction| {
            if let Some(peers) = &group.peers {
                transaction.remember_peers(peers)?;
            }
            group
                .ops
                .iter()
                .try_for_each(|op| transaction.execute(op))?;
            transaction.sweep(portion)
        })?;
        let commit_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        if let Some(seq) = group.seq {
            (self.report)(Completion::Persisted {
                seq,
                disk_seq: committed.disk_seq,
                requests: group.requests,
                rows: committed.rows,
                commit_us,
            });
        }
        Ok(())
    }
}

/// How many rows these operations write, and what they weigh in bytes.
fn weight(ops: &[PersistOp]) -> (u64, usize) {
    ops.iter()
        .map(|op| match op {
            PersistOp::Accept(entries) => {
                let bytes = entries.iter().map(Entry::weight_bytes);
                (entries.len() as u64, bytes.fold(0, usize::saturating_add))
            }
            PersistOp::Promise(_)
            | PersistOp::Decided { .. }
            | PersistOp::Activate { .. }
            | PersistOp::Compact { .. }
            | PersistOp::Witness { .. } => (0, 0),
        })
        .fold((0, 0), |(rows, bytes), (more, weight)| {
            (rows + more, bytes.saturating_add(weight))
        })
}
