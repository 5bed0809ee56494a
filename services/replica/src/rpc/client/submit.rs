//! One stream of commands, and the answers to them.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt as _};
use machine::{UserId, understands};
use proto::v1 as pb;
use proto::v1::command::Body;
use proto::v1::not_accepted::Reason;
use proto::v1::submit_response::Kind;
use tokio::sync::{Semaphore, mpsc};
use tonic::{Status, Streaming};

use crate::errors::{Refused, plain};
use crate::limits::{STREAM_OUTSTANDING_MAX, SUBMISSIONS_GROUP_MAX};
use crate::role::{Member, Shared};
use crate::waiters::{Key, ReplyStream, Submission, not_accepted};
use crate::{gather, traces};

/// Starts to read the stream, and gives its answers.
pub(super) fn start(
    requests: Streaming<pb::SubmitRequest>,
    shared: Arc<Shared>,
    member: Arc<Member>,
) -> impl Stream<Item = Result<pb::SubmitResponse, Status>> + Send {
    let (replies, answers) = ReplyStream::new();
    let room = Arc::new(Semaphore::new(STREAM_OUTSTANDING_MAX));
    let (failed, failure) = mpsc::channel(1);
    tokio::spawn(read(
        requests,
        shared,
        member,
        replies,
        Arc::clone(&room),
        failed,
    ));
    answer(answers, failure, room)
}

/// The answers as they come; each final one makes room for another command. The stream ends
/// when the gateway has said everything and was answered, or with the error of its reader.
fn answer(
    answers: mpsc::Receiver<Vec<pb::SubmitResponse>>,
    failure: mpsc::Receiver<Status>,
    room: Arc<Semaphore>,
) -> impl Stream<Item = Result<pb::SubmitResponse, Status>> + Send {
    struct State {
        answers: mpsc::Receiver<Vec<pb::SubmitResponse>>,
        failure: mpsc::Receiver<Status>,
        room: Arc<Semaphore>,
        ready: VecDeque<pb::SubmitResponse>,
    }
    let state = State {
        answers,
        failure,
        room,
        ready: VecDeque::new(),
    };
    stream::unfold(state, |mut state| async move {
        loop {
            if let Some(answer) = state.ready.pop_front() {
                return Some((Ok(answer), state));
            }
            let Some(group) = state.answers.recv().await else {
                let failure = state.failure.try_recv().ok()?;
                return Some((Err(failure), state));
            };
            let is_final =
                |answer: &&pb::SubmitResponse| !matches!(answer.kind, Some(Kind::Progress(_)));
            state
                .room
                .add_permits(group.iter().filter(is_final).count());
            state.ready.extend(group);
        }
    })
}

/// Reads commands, as many together as are there, while answers are taken.
async fn read(
    requests: Streaming<pb::SubmitRequest>,
    shared: Arc<Shared>,
    member: Arc<Member>,
    replies: Arc<ReplyStream>,
    room: Arc<Semaphore>,
    failed: mpsc::Sender<Status>,
) {
    let mut groups = requests.ready_chunks(SUBMISSIONS_GROUP_MAX);
    loop {
        // The room of a whole group first: what was read must be answerable.
        let Ok(permits) = room.acquire_many(SUBMISSIONS_GROUP_MAX as u32).await else {
            return;
        };
        let group = tokio::select! {
            group = groups.next() => group,
            // Who waits was told; nothing more is taken.
            () = member.stop.cancelled() => return,
        };
        let Some(group) = group else { return };
        permits.forget();
        let unused = SUBMISSIONS_GROUP_MAX - group.len();
        room.add_permits(unused);
        let mut submissions = Vec::with_capacity(group.len());
        for request in group {
            match request
                .map_err(Stop::Broken)
                .and_then(|request| check(request, &shared, &member, &replies))
            {
                Ok(submission) => submissions.extend(submission),
                Err(stop) => {
                    stop.tell(&failed);
                    return;
                }
            }
        }
        if !submissions.is_empty() && member.driver.submissions.send(submissions).await.is_err() {
            return;
        }
    }
}

/// Why a stream is not read any more.
enum Stop {
    Broken(Status),
    Refused(Refused),
}

impl Stop {
    fn tell(self, failed: &mpsc::Sender<Status>) {
        match self {
            Self::Broken(status) => tracing::debug!(error = plain(&status), "a stream broke"),
            // There is room for one, and there is one.
            Self::Refused(refused) => drop(failed.try_send(refused.into())),
        }
    }
}

/// A command that can be entered; `None` when it was answered at once.
fn check(
    request: pb::SubmitRequest,
    shared: &Shared,
    member: &Member,
    replies: &Arc<ReplyStream>,
) -> Result<Option<Submission>, Stop> {
    let own = member.cluster.shard;
    if request.shard != own {
        return Err(Stop::Refused(Refused::Shard {
            found: request.shard,
            own,
        }));
    }
    if let Some(why) = shared.foreign() {
        return Err(Stop::Refused(Refused::Foreign(why)));
    }
    let Some(command) = request.command else {
        return Err(Stop::Refused(Refused::Bad("command is missing".to_owned())));
    };
    let Some(key) = Key::of(&command) else {
        return Err(Stop::Refused(Refused::Bad(
            "cid must have 16 bytes".to_owned(),
        )));
    };
    if !understands(&command) {
        // In the log it would stop every replica.
        let why = "a command of a kind that this replica does not know".to_owned();
        return Err(Stop::Refused(Refused::Bad(why)));
    }
    if key.author == UserId::REPLICAS.0 || matches!(command.body, Some(Body::PostNotice(_))) {
        let why = "notices are posted by the leading replica alone".to_owned();
        return Err(Stop::Refused(Refused::Bad(why)));
    }
    let bytes = gather::weight_bytes(&command);
    if !gather::fits(bytes) {
        replies.send(vec![not_accepted(&key, Reason::TooLarge, None)]);
        return Ok(None);
    }
    Ok(Some(Submission {
        key,
        command,
        bytes,
        progress: request.progress,
        stream: Arc::clone(replies),
        trace: traces::proposed(&request.traceparent, member.cluster.node),
    }))
}
