//! What replicas of one cluster have in common, and commands to one of them alone.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use proto::v1::chat_client::ChatClient;
use proto::v1::{Command, GetHistoryRequest, PostMessage, SubmitRequest, command, submit_response};
use tokio::time::{Instant, sleep};
use tokio_stream::StreamExt as _;
use uuid::Uuid;

use super::Cluster;
use crate::log::{self, LogEntry};

/// The room of the cluster.
const CLUSTER: u64 = u32::MAX as u64;

impl Cluster {
    /// Waits until all replicas named have applied the same log, compares it entry by entry,
    /// and returns it. What is decided while the logs are read is left out.
    ///
    /// # Errors
    /// When the logs differ, or are not of equal length within the time.
    pub async fn equal_logs(&self, members: &[usize], within: Duration) -> Result<Vec<LogEntry>> {
        let deadline = Instant::now() + within;
        let upto = loop {
            let positions = self.positions(members).await;
            let equal = |slots: &&Vec<u64>| slots.windows(2).all(|pair| pair[0] == pair[1]);
            if let Some(slots) = positions.as_ref().ok().filter(equal) {
                break slots[0];
            }
            ensure!(
                Instant::now() < deadline,
                "decided and applied differ: {positions:?}"
            );
            sleep(Duration::from_millis(20)).await;
        };
        let first = self.log_upto(members[0], upto).await?;
        for &index in &members[1..] {
            let other = self.log_upto(index, upto).await?;
            if let Some(difference) = log::difference(&first, &other) {
                bail!("r{} and r{}: {difference}", members[0] + 1, index + 1);
            }
        }
        Ok(first)
    }

    async fn log_upto(&self, index: usize, upto: u64) -> Result<Vec<LogEntry>> {
        let mut log = self.log(index).await?;
        log.retain(|entry| entry.slot <= upto);
        Ok(log)
    }

    /// Waits until the room of the cluster has so many lines. A leader puts its first one into the
    /// log a moment after its election: whoever counts slots, or stops a process at its next
    /// proposal, waits for that.
    ///
    /// # Errors
    /// When it has fewer within the time.
    pub async fn told(&self, lines: u64, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let leader = self.leader(within).await?;
            let mut chat = ChatClient::new(self.channel(leader).await?);
            let request = GetHistoryRequest {
                room: CLUSTER,
                limit: 1,
                ..GetHistoryRequest::default()
            };
            let page = chat.get_history(request).await;
            if page.as_ref().is_ok_and(|page| page.get_ref().head >= lines) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "fewer than {lines} lines: {page:?}"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until all replicas named stand at the same slot with the same history. Unlike
    /// [`Cluster::equal_logs`] it needs no more of the logs than is left of them.
    ///
    /// # Errors
    /// When they do not within the time.
    pub async fn equal_chains(&self, members: &[usize], within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let mut ends = Vec::new();
            for &index in members {
                let status = self.status(index).await;
                ends.push(status.map(|s| (s.decided, s.applied, s.chain)).ok());
            }
            let applied = |end: &Option<(u64, u64, Vec<u8>)>| {
                end.as_ref()
                    .is_some_and(|(decided, applied, _)| decided == applied)
            };
            if ends.iter().all(applied) && ends.windows(2).all(|pair| pair[0] == pair[1]) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "they stand at {ends:?}\n{}",
                self.tails()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The commit index and the applied slot of each; an error while one of them starts.
    async fn positions(&self, members: &[usize]) -> Result<Vec<u64>> {
        let mut slots = Vec::new();
        for &index in members {
            let status = self.status(index).await?;
            slots.extend([status.decided, status.applied]);
        }
        Ok(slots)
    }
}

/// Commands handed straight to one replica, without a gateway that would try again elsewhere.
impl Cluster {
    /// Submits a message to one replica and returns its first answer that is not progress.
    ///
    /// # Errors
    /// When the stream breaks, for example because the replica dies.
    pub async fn submit(
        &self,
        index: usize,
        author: u64,
        room: u64,
        cid: Uuid,
        body: &str,
    ) -> Result<submit_response::Kind> {
        let mut chat = ChatClient::new(self.channel(index).await?);
        let post = PostMessage {
            room,
            body: body.to_owned(),
            reply_to: 0,
        };
        let command = Command {
            cid: cid.into_bytes().to_vec().into(),
            author,
            body: Some(command::Body::PostMessage(post)),
            ..Command::default()
        };
        let request = SubmitRequest {
            shard: 0,
            command: Some(command),
            progress: false,
            traceparent: String::new(),
        };
        let mut answers = chat
            .submit(tokio_stream::once(request).chain(tokio_stream::pending()))
            .await?
            .into_inner();
        let answer = answers
            .message()
            .await?
            .context("the stream ended without an answer")?;
        answer.kind.context("an answer has a kind")
    }
}
