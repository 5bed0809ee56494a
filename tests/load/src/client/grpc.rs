//! Commands straight to the leader, on streams as gateways have them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use proto::v1::chat_client::ChatClient;
use proto::v1::not_accepted::Reason;
use proto::v1::outcome;
use proto::v1::submit_response::Kind;
use proto::v1::{Command, Outcome, PostMessage, SubmitRequest, SubmitResponse, command};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use uuid::Uuid;

use crate::limits::{RETRY, STREAM_QUEUE_MAX};

type Waiting = Arc<Mutex<BTreeMap<Uuid, oneshot::Sender<Kind>>>>;

/// One stream.
#[derive(Debug)]
pub struct Stream {
    sender: mpsc::Sender<SubmitRequest>,
    waiting: Waiting,
}

impl Stream {
    /// Opens one to the replica at host:port.
    ///
    /// # Errors
    /// When it does not answer or does not serve commands.
    pub async fn open(address: &str) -> Result<Self> {
        let mut chat = ChatClient::connect(format!("http://{address}")).await?;
        let (sender, receiver) = mpsc::channel(STREAM_QUEUE_MAX);
        let answers = chat.submit(ReceiverStream::new(receiver)).await?;
        let waiting = Waiting::default();
        tokio::spawn(read(answers.into_inner(), Arc::clone(&waiting)));
        Ok(Self { sender, waiting })
    }

    /// Has a command applied, sending it again while the replica has no room for it.
    ///
    /// # Errors
    /// When the stream ends, or the command is refused.
    pub async fn command(&self, author: u64, body: command::Body) -> Result<Outcome> {
        let cid = Uuid::now_v7();
        let command = Command {
            cid: cid.into_bytes().to_vec().into(),
            author,
            body: Some(body),
            ..Command::default()
        };
        loop {
            let (answer, answered) = oneshot::channel();
            lock(&self.waiting).insert(cid, answer);
            let request = SubmitRequest {
                shard: 0,
                command: Some(command.clone()),
                progress: false,
                traceparent: String::new(),
            };
            self.sender
                .send(request)
                .await
                .context("the stream ended")?;
            match answered.await.context("the stream ended")? {
                Kind::Outcome(outcome) => {
                    let refused = matches!(outcome.result, Some(outcome::Result::Refusal(_)));
                    ensure!(!refused, "refused: {outcome:?}");
                    return Ok(outcome);
                }
                Kind::NotAccepted(refused) if refused.reason() == Reason::NotLeader => {
                    bail!("the lead has gone to another replica");
                }
                _ => sleep(RETRY).await,
            }
        }
    }
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, BTreeMap<Uuid, oneshot::Sender<Kind>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands out the answers. At the end those that wait learn that none will come.
async fn read(mut answers: Streaming<SubmitResponse>, waiting: Waiting) {
    while let Ok(Some(answer)) = answers.message().await {
        let Some(kind) = answer.kind else { continue };
        let cid = match &kind {
            Kind::Outcome(outcome) => &outcome.cid,
            Kind::NotAccepted(refused) => &refused.cid,
            Kind::Progress(progress) => &progress.cid,
        };
        let Ok(cid) = Uuid::from_slice(cid) else {
            continue;
        };
        if let Some(waits) = lock(&waiting).remove(&cid) {
            // Nobody waits any more when a measurement has ended.
            let _ = waits.send(kind);
        }
    }
    lock(&waiting).clear();
}

/// Senders of messages.
#[derive(Debug)]
pub struct Grpc {
    /// Open streams to the leader.
    pub streams: Vec<Stream>,
    /// Who writes where: account and room.
    pub places: Vec<(u64, u64)>,
}

impl Grpc {
    /// Commits one message.
    ///
    /// # Errors
    /// See [`Stream::command`].
    pub async fn commit(&self, lane: usize, body: String) -> Result<()> {
        let stream = &self.streams[lane % self.streams.len()];
        let (author, room) = self.places[lane % self.places.len()];
        let post = PostMessage {
            room,
            body,
            reply_to: 0,
        };
        stream
            .command(author, command::Body::PostMessage(post))
            .await?;
        Ok(())
    }
}
