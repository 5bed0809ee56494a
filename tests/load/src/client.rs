//! One call that commits one message, whatever the system.

mod grpc;
mod web;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use tokio::time::timeout;

pub use grpc::{Grpc, Stream};
pub use web::{Person, Web};

use crate::board::body;
use crate::limits::COMMIT_PATIENCE;
use crate::record::Latencies;

/// Senders of one system.
#[derive(Clone)]
pub struct Client {
    kind: Kind,
    sent: Arc<AtomicU64>,
}

/// By system.
#[derive(Clone)]
pub enum Kind {
    /// Chatterbox, straight to the leader.
    Grpc(Arc<Grpc>),
    /// Chatterbox, through a gateway.
    Web(Arc<Web>),
    /// Keys of etcd, each put once.
    Etcd(Vec<etcd_client::KvClient>),
    /// Confirmed publishes to one queue.
    Rabbit(Vec<lapin::Channel>),
    /// Acknowledged publishes to one stream.
    Nats(Vec<async_nats::jetstream::Context>),
}

/// The queue of RabbitMQ.
pub const QUEUE: &str = "bench";
/// The subject of NATS.
pub const SUBJECT: &str = "bench.room";

impl Client {
    /// Around open connections.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            sent: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Commits one message of so many bytes: returns when the system has acknowledged it.
    ///
    /// # Errors
    /// When it refuses, or says nothing for 20 s.
    pub async fn commit(&self, lane: usize, bytes: usize) -> Result<()> {
        timeout(COMMIT_PATIENCE, self.commit_unbounded(lane, bytes))
            .await
            .context("no acknowledgement")?
    }

    /// How many messages were sent with it, over WebSocket not counted.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// How long messages took to their last reader since this was asked before; nothing where
    /// nobody reads.
    #[must_use]
    pub fn take_last(&self) -> Option<Latencies> {
        match &self.kind {
            Kind::Web(web) => Some(web.board.take_last()),
            _ => None,
        }
    }

    async fn commit_unbounded(&self, lane: usize, bytes: usize) -> Result<()> {
        if let Kind::Web(web) = &self.kind {
            return web.commit(lane, bytes).await;
        }
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let body = body(number, bytes);
        match &self.kind {
            Kind::Web(_) => Ok(()),
            Kind::Grpc(grpc) => grpc.commit(lane, body).await,
            Kind::Etcd(clients) => {
                let mut kv = clients[lane % clients.len()].clone();
                kv.put(format!("bench/{number:012}"), body, None).await?;
                Ok(())
            }
            Kind::Rabbit(channels) => {
                let channel = &channels[lane % channels.len()];
                publish(channel, body.as_bytes()).await
            }
            Kind::Nats(contexts) => {
                let context = &contexts[lane % contexts.len()];
                let published = context.publish(SUBJECT, body.into()).await?;
                published.await?;
                Ok(())
            }
        }
    }
}

async fn publish(channel: &lapin::Channel, body: &[u8]) -> Result<()> {
    let persistent = lapin::BasicProperties::default().with_delivery_mode(2);
    let options = lapin::options::BasicPublishOptions::default();
    let sent = channel
        .basic_publish("".into(), QUEUE.into(), options, body, persistent)
        .await?;
    let confirmed = sent.await?;
    ensure!(
        matches!(confirmed, lapin::Confirmation::Ack(_)),
        "RabbitMQ did not confirm: {confirmed:?}"
    );
    Ok(())
}
