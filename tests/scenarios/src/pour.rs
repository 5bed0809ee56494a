//! Many messages quickly: handed straight to the leader, thousands under way at once, each sent
//! again under its own `cid` until it is acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use proto::v1::chat_client::ChatClient;
use proto::v1::not_accepted::Reason;
use proto::v1::submit_response::Kind;
use proto::v1::{Command, PostMessage, SubmitRequest, SubmitResponse, command};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use uuid::Uuid;

use crate::Cluster;

/// Commands under way on one stream; a replica takes 4096.
const WINDOW: usize = 3000;
/// No answer for so long: the stream is given up.
const SILENCE: Duration = Duration::from_secs(3);

/// Messages of one author to one room.
#[derive(Clone, Copy, Debug)]
pub struct Pour {
    /// The account.
    pub author: u64,
    /// The room.
    pub room: u64,
    /// How many.
    pub count: usize,
    /// The length of each.
    pub bytes: usize,
}

impl Pour {
    /// Sends all of them; returns when each is acknowledged.
    ///
    /// # Errors
    /// When one is refused for good, or nothing is acknowledged for `patience`.
    pub async fn run(self, cluster: &Cluster, patience: Duration) -> Result<()> {
        let mut left = BTreeMap::new();
        for number in 0..self.count {
            let command = self.command(number);
            left.insert(command.cid.to_vec(), command);
        }
        let mut progress = Instant::now();
        while !left.is_empty() {
            let before = left.len();
            let result = self.attempt(cluster, &mut left).await;
            if left.len() < before {
                progress = Instant::now();
            }
            if let Err(error) = result {
                ensure!(
                    progress.elapsed() < patience,
                    "{} of {} were not acknowledged: {error:#}",
                    left.len(),
                    self.count
                );
                sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    fn command(&self, number: usize) -> Command {
        let mut body = format!("{number} ");
        body.push_str(&"x".repeat(self.bytes.saturating_sub(body.len())));
        let post = PostMessage {
            room: self.room,
            body,
            reply_to: 0,
        };
        Command {
            cid: Uuid::now_v7().into_bytes().to_vec().into(),
            author: self.author,
            body: Some(command::Body::PostMessage(post)),
            ..Command::default()
        }
    }

    /// One stream to whoever leads, until it ends or all are acknowledged.
    async fn attempt(
        &self,
        cluster: &Cluster,
        left: &mut BTreeMap<Vec<u8>, Command>,
    ) -> Result<()> {
        let leader = cluster.leader(SILENCE).await?;
        let mut chat = ChatClient::new(cluster.channel(leader).await?);
        let (sender, receiver) = mpsc::channel(WINDOW);
        let answers = chat.submit(ReceiverStream::new(receiver)).await?;
        let mut answers = answers.into_inner();
        let mut waiting: Vec<Command> = left.values().rev().cloned().collect();
        let mut under_way = 0;
        loop {
            while under_way < WINDOW
                && let Some(command) = waiting.pop()
            {
                let request = SubmitRequest {
                    shard: 0,
                    command: Some(command),
                    progress: false,
                    traceparent: String::new(),
                };
                sender.send(request).await.context("the stream ended")?;
                under_way += 1;
            }
            if under_way == 0 {
                return Ok(());
            }
            under_way -= 1;
            match next(&mut answers).await? {
                Kind::Outcome(outcome) => {
                    left.remove(&outcome.cid);
                }
                Kind::NotAccepted(refused) if refused.reason() == Reason::Overloaded => {
                    waiting.extend(left.get(&refused.cid).cloned());
                    sleep(Duration::from_millis(5)).await;
                }
                Kind::NotAccepted(refused) => bail!("{:?}", refused.reason()),
                Kind::Progress(_) => bail!("progress, which nobody asked for"),
            }
        }
    }
}

async fn next(answers: &mut Streaming<SubmitResponse>) -> Result<Kind> {
    let answer = timeout(SILENCE, answers.message()).await;
    let answer = answer.context("no answer")??;
    let answer = answer.context("the stream ended")?;
    answer.kind.context("an answer has a kind")
}
