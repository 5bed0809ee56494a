//! The loop that owns the core: inputs in, outputs executed.
//!
//! It has a thread of its own, so that nothing else delays a heartbeat. In each turn it gives
//! the core everything that is ready, up to a bound, and then executes what the core asked for,
//! in order. It never waits for a disk, a peer or the state machine: what comes back from them
//! is in [`Signals`] and in bounded channels.

mod execute;
mod proposals;
mod questions;
mod quorum;
mod space;
mod trim;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ops::shutdown::Token;
use ops::traces::Context;
use paxos::Core;
use paxos::ids::{Millis, NodeId, PersistSeq, Slot, Timestamp};
use paxos::input::Input;
use paxos::limits::TICK_MS;
use paxos::message::Message;
use paxos::output::{HaltReason, Output};
use paxos::status::{RoleName, Status};
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::apply;
use crate::demo::Demo;
use crate::directory::Directory;
use crate::limits::{
    PEER_FRAMES_IN_MAX, QUESTIONS_MAX, STATUS_EVERY, SUBMISSIONS_QUEUE_MAX, TURN_INPUTS_MAX,
};
use crate::peers::Peers;
use crate::signals::Signals;
use crate::traces::Traces;
use crate::waiters::{Submission, Waiters};
use proposals::Proposals;
pub(crate) use questions::{Ask, Refusal};
use questions::{Asked, Question};
use quorum::{News, QuorumNews};
pub(crate) use space::watch_space;
use trim::Trim;

/// What came from a peer in one frame, checked.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// Who sent it; authenticated.
    pub(crate) from: NodeId,
    /// In the order in which they were sent.
    pub(crate) messages: Vec<Message>,
    /// The traces of the commands in their rows.
    pub(crate) traces: Vec<(Slot, Context)>,
}

/// How the rest of the process reaches the driver. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    /// From the streams of peers.
    pub(crate) inbound: mpsc::Sender<Inbound>,
    /// From the streams of gateways.
    pub(crate) submissions: mpsc::Sender<Vec<Submission>>,
    /// From operators and readers.
    questions: mpsc::Sender<Question>,
    /// The state a moment ago.
    status: watch::Receiver<Status>,
    /// Set when this replica cannot go on as it is.
    ended: watch::Receiver<Option<End>>,
}

/// Why a driver cannot go on as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// What is missing here is in no log any more: a snapshot is needed.
    Behind {
        /// Who has one.
        from: NodeId,
        /// One at this slot or a later one is of use.
        at_least: Slot,
    },
    /// The core found what must not be. It does nothing any more.
    Halted(HaltReason),
}

impl Handle {
    /// The state a moment ago.
    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// See [`End`].
    pub(crate) fn watch_end(&self) -> watch::Receiver<Option<End>> {
        self.ended.clone()
    }
}

/// The other ends of a [`Handle`].
#[derive(Debug)]
struct Inputs {
    inbound: mpsc::Receiver<Inbound>,
    submissions: mpsc::Receiver<Vec<Submission>>,
    questions: mpsc::Receiver<Question>,
}

/// What the driver works with.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The protocol.
    pub(crate) core: Core,
    /// The log's writer.
    pub(crate) wal: wal::Handle,
    /// Streams to the others.
    pub(crate) peers: Peers,
    /// Who they are.
    pub(crate) directory: Arc<Directory>,
    /// How much of the log is kept, in bytes, for others that are behind.
    pub(crate) keep_log_bytes: u64,
    /// The thread that applies.
    pub(crate) apply: apply::Queue,
    /// Who waits for answers.
    pub(crate) waiters: Arc<Waiters>,
    /// What the other threads tell.
    pub(crate) signals: Arc<Signals>,
    /// What is traced of what is not applied.
    pub(crate) traces: Arc<Traces>,
    /// The moment that is 0 for the core.
    pub(crate) started: Instant,
    /// Whether it is to stand still.
    pub(crate) demo: Demo,
}

/// The loop's state.
pub(crate) struct Driver {
    core: Core,
    inputs: Inputs,
    /// Read by [`Handle::status`].
    status: watch::Sender<Status>,
    ended: watch::Sender<Option<End>>,
    out: Vec<Output>,
    wal: wal::Handle,
    peers: Peers,
    directory: Arc<Directory>,
    apply: apply::Queue,
    waiters: Arc<Waiters>,
    signals: Arc<Signals>,
    traces: Arc<Traces>,
    proposals: Proposals,
    started: Instant,
    /// What was told to the core.
    persisted: PersistSeq,
    applied: Slot,
    next_status: Instant,
    next_tick: Instant,
    quorum: QuorumNews,
    /// What operators and readers wait for.
    asked: Asked,
    /// How much of the log is kept.
    trim: Trim,
    /// As the core was told.
    space_low: bool,
    /// Whether it is to stand still.
    demo: Demo,
}

/// What woke the driver.
enum Woken {
    /// News in the signals.
    Signal,
    /// Time.
    Tick,
    Inbound(Inbound),
    Submissions(Vec<Submission>),
    Question(Question),
    /// Asked to stop, or everybody who could say something is gone.
    Stop,
}

impl Driver {
    /// A driver and the way to reach it.
    pub(crate) fn new(parts: Parts) -> (Self, Handle) {
        let Parts {
            core,
            wal,
            peers,
            directory,
            keep_log_bytes,
            apply,
            waiters,
            signals,
            traces,
            started,
            demo,
        } = parts;
        let (inbound, inbound_receiver) = mpsc::channel(PEER_FRAMES_IN_MAX);
        let (submissions, submissions_receiver) = mpsc::channel(SUBMISSIONS_QUEUE_MAX);
        let (questions, questions_receiver) = mpsc::channel(QUESTIONS_MAX);
        let status = watch::Sender::new(core.status());
        let ended = watch::Sender::new(None);
        let handle = Handle {
            inbound,
            submissions,
            questions,
            status: status.subscribe(),
            ended: ended.subscribe(),
        };
        let now = Instant::now();
        let driver = Self {
            inputs: Inputs {
                inbound: inbound_receiver,
                submissions: submissions_receiver,
                questions: questions_receiver,
            },
            status,
            ended,
            out: Vec::new(),
            wal,
            peers,
            directory,
            apply,
            waiters,
            applied: signals.applied(),
            signals,
            traces,
            proposals: Proposals::new(),
            core,
            started,
            persisted: PersistSeq(0),
            next_status: now,
            next_tick: now,
            quorum: QuorumNews::default(),
            asked: Asked::default(),
            trim: Trim::new(keep_log_bytes),
            space_low: false,
            demo,
        };
        (driver, handle)
    }

    /// Runs until `stop`.
    pub(crate) async fn run(mut self, stop: Token) {
        let mut ticks = interval(Duration::from_millis(TICK_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.demo.stand_still().await;
            let woken = self.wait(&mut ticks, &stop).await;
            if matches!(woken, Woken::Stop) {
                break;
            }
            self.turn(woken);
        }
        self.waiters.close();
    }

    async fn wait(&mut self, ticks: &mut Interval, stop: &Token) -> Woken {
        tokio::select! {
            biased;
            () = stop.cancelled() => Woken::Stop,
            () = self.signals.risen() => Woken::Signal,
            inbound = self.inputs.inbound.recv() => inbound.map_or(Woken::Stop, Woken::Inbound),
            group = self.inputs.submissions.recv() => {
                group.map_or(Woken::Stop, Woken::Submissions)
            }
            _ = ticks.tick() => Woken::Tick,
            question = self.inputs.questions.recv() => {
                question.map_or(Woken::Stop, Woken::Question)
            }
        }
    }

    /// Takes what is ready, then executes what the core asks for.
    fn turn(&mut self, woken: Woken) {
        let now = self.now();
        self.take_signals(now);
        match woken {
            Woken::Inbound(inbound) => self.take_inbound(now, inbound),
            Woken::Submissions(group) => self.take_submissions(group),
            Woken::Question(question) => self.ask(now, question),
            Woken::Tick => self.next_tick = Instant::now(),
            Woken::Signal | Woken::Stop => {}
        }
        for _ in 0..TURN_INPUTS_MAX {
            let Ok(inbound) = self.inputs.inbound.try_recv() else {
                break;
            };
            self.take_inbound(now, inbound);
        }
        for _ in 0..SUBMISSIONS_QUEUE_MAX {
            let Ok(group) = self.inputs.submissions.try_recv() else {
                break;
            };
            self.take_submissions(group);
        }
        self.tick_if_due(now);
        self.execute();
        // What was decided in this turn may have made room for what was gathered.
        self.propose(now);
        self.execute();
        for _ in 0..QUESTIONS_MAX {
            let Ok(question) = self.inputs.questions.try_recv() else {
                break;
            };
            self.ask(now, question);
        }
        self.execute();
        self.publish(now);
    }

    fn take_signals(&mut self, now: Millis) {
        let (seq, disk_seq) = self.signals.persisted();
        if seq > self.persisted {
            self.persisted = seq;
            self.step(now, Input::Persisted { seq, disk_seq });
        }
        let applied = self.signals.applied();
        if applied > self.applied {
            self.applied = applied;
            self.step(now, Input::Applied { slot: applied });
        }
        let low = self.signals.is_space_low();
        if low != self.space_low {
            self.space_low = low;
            self.step(now, Input::Space { low });
        }
    }

    fn take_inbound(&mut self, now: Millis, inbound: Inbound) {
        let Inbound {
            from,
            messages,
            traces,
        } = inbound;
        self.traces.note_received(&messages, &traces);
        for message in messages {
            self.step(now, Input::Message { from, message });
        }
    }

    fn tick_if_due(&mut self, now: Millis) {
        let clock = Instant::now();
        if clock >= self.next_tick {
            self.next_tick = clock + Duration::from_millis(TICK_MS);
            self.step(now, Input::Tick);
        }
    }

    fn step(&mut self, now: Millis, input: Input) {
        self.core.step(now, input, &mut self.out);
    }

    fn publish(&mut self, now: Millis) {
        let clock = Instant::now();
        if clock < self.next_status {
            return;
        }
        self.next_status = clock + STATUS_EVERY;
        let status = self.core.status();
        let cut_off = !status.quorum_connected && !status.accepts_proposals && !status.unsettled;
        if status.role == RoleName::Leader && cut_off {
            self.on_no_quorum();
        }
        match self.quorum.note(status.quorum_connected, clock) {
            Some(News::Heard) => tracing::info!("a majority is heard"),
            Some(News::Lost) => {
                tracing::warn!("no majority is heard: nothing can be committed until one is");
            }
            None => {}
        }
        let contacts = self.directory.contacts(&status.configuration.voters);
        self.step(now, Input::Contacts { nodes: contacts });
        self.signals.note_log_begins_after(status.compacted_to);
        if let Some(upto) = self.trim.look(&status, &self.signals) {
            self.step(now, Input::Compact { upto });
        }
        self.status.send_replace(status);
        self.execute();
    }

    fn now(&self) -> Millis {
        let elapsed = self.started.elapsed().as_millis();
        Millis(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}

/// For display only: the core makes it strictly increasing.
fn wall_clock() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
