//! Posts what happens to the cluster into its room, while this replica leads.
//!
//! In: the driver's status, and what the room has told already. Out: commands, on the way of any
//! other. Must hold: it changes nothing but the room. No election, no vote and no other notice
//! depends on a line, and what is posted is bounded ([`observer`]).
//!
//! Who leads and who is silent is posted here; who votes follows from the log itself
//! (machine/src/notices.rs), whoever changed it.

mod observer;

use std::sync::{Mutex, PoisonError};

use paxos::ids::{NodeId, Slot};
use proto::v1::SubmitResponse;
use proto::v1::notice::Kind;
use proto::v1::submit_response::Kind as Answer;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::gather;
use crate::limits::{NOTICE_WAIT, NOTICES_EVERY};
use crate::role::Member;
use crate::waiters::{Key, ReplyStream, Submission};
use observer::Observer;

/// The voters as the room knows them, each with the slot at which it was called silent, if it is.
/// Empty before the first notice.
pub(crate) type Told = Vec<(NodeId, Option<Slot>)>;

/// What the room has told, for whoever goes on. Set by the thread that applies.
#[derive(Debug)]
pub(crate) struct Watched(Mutex<Told>);

impl Watched {
    /// As the state says at the start.
    pub(crate) const fn new(told: Told) -> Self {
        Self(Mutex::new(told))
    }

    /// A line was applied.
    pub(crate) fn set(&self, told: Told) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = told;
    }

    fn get(&self) -> Told {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A notice on its way.
struct Posted {
    kind: Kind,
    answers: mpsc::Receiver<Vec<SubmitResponse>>,
    since: Instant,
}

/// Looks and posts, one notice at a time, until it is dropped.
pub(crate) async fn post(member: &Member) {
    let mut observer = Observer::default();
    let mut looks = interval(NOTICES_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut posted: Option<Posted> = None;
    loop {
        looks.tick().await;
        let status = member.driver.status();
        observer.note(member.now(), &status);
        if let Some(waiting) = &mut posted {
            match answer(waiting) {
                None => continue,
                Some(true) => observer.told(&waiting.kind),
                Some(false) => {}
            }
            posted = None;
        }
        let told = member.watched.get();
        // From the first notice on the log holds what an earlier program does not know: it must
        // not be there any more.
        let may_begin = || {
            let voters = &status.configuration.voters;
            let needed = machine::limits::BATCH_VERSION_NOTICES;
            member.directory.all_understand(voters, needed)
        };
        if told.is_empty() && !may_begin() {
            continue;
        }
        if let Some(kind) = observer.next(member.now(), &status, &told) {
            posted = submit(member, kind).await;
        }
    }
}

/// Whether it was applied; `None` while that is open. What was not is looked at anew.
fn answer(posted: &mut Posted) -> Option<bool> {
    let late = posted.since.elapsed() >= NOTICE_WAIT;
    match posted.answers.try_recv() {
        Ok(answers) => {
            let outcome = |answer: &SubmitResponse| matches!(answer.kind, Some(Answer::Outcome(_)));
            Some(answers.iter().any(outcome))
        }
        Err(mpsc::error::TryRecvError::Empty) if !late => None,
        Err(_) => Some(false),
    }
}

async fn submit(member: &Member, kind: Kind) -> Option<Posted> {
    let command = machine::notice_command(kind.clone());
    let key = Key::of(&command)?;
    let (stream, answers) = ReplyStream::new();
    let submission = Submission {
        key,
        bytes: gather::weight_bytes(&command),
        command,
        progress: false,
        stream,
        trace: None,
    };
    tracing::debug!(?kind, "a notice is posted");
    // The driver has ended: so will this.
    let sent = member.driver.submissions.send(vec![submission]).await;
    sent.ok()?;
    Some(Posted {
        kind,
        answers,
        since: Instant::now(),
    })
}
