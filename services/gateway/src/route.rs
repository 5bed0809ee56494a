//! Commands on their way to the leader: one stream shared by all sockets, the same `cid` again
//! and again until there is an outcome or 5 s are over.
//!
//! In: [`Submit`]. Out: [`Answer`], exactly one final one per `Submit`.
//! Must hold: success is said only with an `Outcome` of the state machine in hand; a command
//! whose fate is unknown is sent again with its `cid`, never as a new one.
//! Tests: route/tests.rs, tests/faults.rs

mod actor;
mod link;
mod pending;

use std::sync::Arc;

use ops::traces::Live;
use proto::v1::{Command, Outcome, command};
use tokio::sync::mpsc;

use crate::channels::Channels;
use crate::cluster::Cluster;
use crate::errors::Error;
use crate::frames::SendState;
use crate::ids::{Cid, Slot, UserId};
use crate::limits::{IN_FLIGHT_MAX, SUBMIT_QUEUE_MAX};
use crate::seen::Seen;

/// What is unique in the state machine: one command takes effect once per author and `cid`.
pub(crate) type Key = (UserId, Cid);

/// A wish of somebody.
#[derive(Debug)]
pub(crate) struct Submit {
    pub(crate) key: Key,
    pub(crate) command: Command,
    /// Whether progress is wanted.
    pub(crate) progress: bool,
    /// Where the answers go; it must have room for the final answer of everything that its
    /// owner has in flight, for the router waits for nobody.
    pub(crate) answers: mpsc::Sender<Answer>,
    /// Its span, if it is traced: until it has an outcome.
    pub(crate) trace: Option<Live>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Answer {
    /// On its way.
    Progress {
        cid: Cid,
        state: SendState,
        slot: Slot,
    },
    /// The end, one per `Submit`.
    Final {
        cid: Cid,
        result: Result<Outcome, Error>,
    },
}

/// A cheap handle on the router.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    submits: mpsc::Sender<Submit>,
}

impl Router {
    /// Starts the router's task; it ends when every handle is gone.
    pub(crate) fn start(cluster: Cluster, channels: Arc<Channels>, seen: Arc<Seen>) -> Self {
        let (submits, inbox) = mpsc::channel(SUBMIT_QUEUE_MAX);
        tokio::spawn(actor::Actor::new(cluster, channels, seen).run(inbox));
        Self { submits }
    }

    /// Hands a command over. An error is an answer: nothing else will come.
    pub(crate) fn submit(&self, submit: Submit) -> Result<(), Error> {
        self.submits
            .try_send(submit)
            .map_err(|_| Error::overloaded("this gateway has no room for more commands", 200))
    }

    /// Hands a command over and waits for its end.
    pub(crate) async fn outcome(
        &self,
        author: UserId,
        cid: Cid,
        body: command::Body,
    ) -> Result<Outcome, Error> {
        let (answers, mut inbox) = mpsc::channel(IN_FLIGHT_MAX);
        self.submit(Submit {
            key: (author, cid),
            command: command(author, cid, body),
            progress: false,
            answers,
            trace: None,
        })?;
        while let Some(answer) = inbox.recv().await {
            if let Answer::Final { result, .. } = answer {
                return result;
            }
        }
        Err(Error::internal("the gateway stops"))
    }
}

/// A command of the log.
pub(crate) fn command(author: UserId, cid: Cid, body: command::Body) -> Command {
    Command {
        cid: bytes::Bytes::copy_from_slice(cid.0.as_bytes()),
        author: author.0,
        body: Some(body),
        // A browser's commands are idempotent by their ids; their order is the outbox' own.
        ..Command::default()
    }
}
