//! What operators and readers ask of the core, and the answers on their way back.
//!
//! Each question has one answer, from the core itself; whoever asked waits with a deadline of
//! its own and may be gone. A slot in an answer is where to wait until it is applied.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use paxos::entry::EntryKind;
use paxos::ids::{Epoch, Millis, NodeId, ProposalToken, ReadToken, Slot};
use paxos::input::Input;
use paxos::output::RejectReason;
use paxos::status::Status;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Driver, Handle, wall_clock};
use crate::limits::QUESTION_WAIT;

/// The state of a driver that is stuck (a test may hold it) is the last one it told.
const STATUS_TIMEOUT: Duration = Duration::from_millis(200);

/// What may be asked.
#[derive(Debug)]
pub(crate) enum Ask {
    /// To put a node into the log.
    Register(Bytes),
    /// To seal the epoch.
    Reconfigure {
        /// The epoch that the asker knows.
        expected: Epoch,
        /// The next voters.
        voters: BTreeSet<NodeId>,
    },
    /// To read what was acknowledged before now.
    Read,
}

/// Why there is no slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The core says so.
    Core(RejectReason),
    /// The driver is busy, stopping, or the core does not answer in time.
    NoAnswer,
}

type Answer = oneshot::Sender<Result<Slot, RejectReason>>;

/// A question on its way in.
#[derive(Debug)]
pub(super) enum Question {
    /// The present state.
    Status(oneshot::Sender<Status>),
    /// See [`Ask`].
    Ask(Ask, Answer),
    /// To hand the lead over.
    Transfer(NodeId),
}

/// Those who wait for the core. Bounded: see [`Asked::forget_gone`].
#[derive(Debug, Default)]
pub(super) struct Asked {
    proposals: BTreeMap<ProposalToken, Answer>,
    reads: BTreeMap<ReadToken, Answer>,
    last_read: ReadToken,
}

impl Asked {
    /// Whoever waits has a deadline, so that what is left here is of the last seconds.
    fn forget_gone(&mut self) {
        self.proposals.retain(|_, answer| !answer.is_closed());
        self.reads.retain(|_, answer| !answer.is_closed());
    }
}

impl Handle {
    /// The state as of this call, or the last known one when the driver does not answer.
    pub(crate) async fn status_now(&self) -> Status {
        let (reply, answer) = oneshot::channel();
        if self.questions.try_send(Question::Status(reply)).is_ok()
            && let Ok(Ok(status)) = timeout(STATUS_TIMEOUT, answer).await
        {
            return status;
        }
        self.status()
    }

    /// Asks the core, and gives the slot that is to be applied before the answer is true.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<Slot, Refusal> {
        let (reply, answer) = oneshot::channel();
        let sent = self.questions.try_send(Question::Ask(ask, reply));
        sent.map_err(|_| Refusal::NoAnswer)?;
        match timeout(QUESTION_WAIT, answer).await {
            Ok(Ok(answer)) => answer.map_err(Refusal::Core),
            Ok(Err(_)) | Err(_) => Err(Refusal::NoAnswer),
        }
    }

    /// Asks the leader to hand over. Best effort: who leads is seen in the status.
    pub(crate) fn transfer(&self, to: NodeId) -> Result<(), Refusal> {
        let sent = self.questions.try_send(Question::Transfer(to));
        sent.map_err(|_| Refusal::NoAnswer)
    }
}

impl Driver {
    /// Hands a question to the core.
    pub(super) fn ask(&mut self, now: Millis, question: Question) {
        match question {
            // Nobody waits any more: nothing to do.
            Question::Status(reply) => drop(reply.send(self.core.status())),
            Question::Transfer(to) => self.step(now, Input::TransferLead { to }),
            Question::Ask(Ask::Read, answer) => {
                self.asked.forget_gone();
                let token = ReadToken(self.asked.last_read.0 + 1);
                self.asked.last_read = token;
                self.asked.reads.insert(token, answer);
                self.step(now, Input::Read { token });
            }
            Question::Ask(Ask::Register(payload), answer) => {
                let token = self.next_token(answer);
                let propose = Input::Propose {
                    token,
                    kind: EntryKind::RegisterNode,
                    payload,
                    wall_clock: wall_clock(),
                };
                self.step(now, propose);
            }
            Question::Ask(Ask::Reconfigure { expected, voters }, answer) => {
                let token = self.next_token(answer);
                let reconfigure = Input::Reconfigure {
                    token,
                    expected_epoch: expected,
                    voters,
                    wall_clock: wall_clock(),
                };
                self.step(now, reconfigure);
            }
        }
    }

    fn next_token(&mut self, answer: Answer) -> ProposalToken {
        self.asked.forget_gone();
        let token = self.proposals.next_token();
        self.asked.proposals.insert(token, answer);
        token
    }

    /// The core answered a proposal. False when it was not one of these.
    pub(super) fn answer_proposal(
        &mut self,
        token: ProposalToken,
        answer: Result<Slot, RejectReason>,
    ) -> bool {
        let Some(reply) = self.asked.proposals.remove(&token) else {
            return false;
        };
        // Nobody waits any more: nothing to do.
        let _ = reply.send(answer);
        true
    }

    /// The core answered a read.
    pub(super) fn answer_read(&mut self, token: ReadToken, answer: Result<Slot, RejectReason>) {
        if let Some(reply) = self.asked.reads.remove(&token) {
            // Nobody waits any more: nothing to do.
            let _ = reply.send(answer);
        }
    }
}
