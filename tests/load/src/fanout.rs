//! One room, many readers: how many deliveries a server makes when messages come without pause,
//! and how long the last reader waits when they come at a pace. And what connections cost that
//! only wait.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rumqttc::{AsyncClient, QoS};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, interval, sleep, timeout};

use crate::board::{Board, body};
use crate::client::{Grpc, Stream};
use crate::limits::{COMMIT_PATIENCE, FANOUT_WINDOW, LOOK};
use crate::proc::{own, usage};
use crate::record::{Cell, Record};
use crate::subscriber::{Server, TOPIC, mqtt};
use crate::system::{Running, System};

/// Accounts that the subscribers of ours share.
const ACCOUNTS: usize = 50;
/// Deliveries per second of the paced part, for any number of readers.
const PACED_DELIVERIES: u64 = 20_000;

/// Who writes to all readers.
enum Sender {
    Ours(Arc<Grpc>),
    Nats(async_nats::Client),
    Mosquitto(AsyncClient, JoinHandle<()>),
}

impl Sender {
    async fn send(&self, number: u64, bytes: usize) -> Result<()> {
        let body = body(number, bytes);
        match self {
            Self::Ours(grpc) => grpc.commit(0, body).await,
            Self::Nats(client) => Ok(client.publish(TOPIC, body.into()).await?),
            Self::Mosquitto(client, _) => {
                Ok(client.publish(TOPIC, QoS::AtMostOnce, false, body).await?)
            }
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if let Self::Mosquitto(_, task) = self {
            task.abort();
        }
    }
}

/// A server with its sender and the processes that deliver.
pub struct Stage {
    running: Running,
    server: Server,
    sender: Sender,
    /// What makes the deliveries: of ours the gateway.
    deliverers: Vec<u32>,
}

impl Stage {
    /// Starts the system.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(system: System) -> Result<Self> {
        let replicas = if system == System::Chatterbox { 3 } else { 1 };
        let running = Running::start(system, replicas).await?;
        let (server, sender, deliverers) = match system {
            System::Chatterbox => {
                let ours = running.ours()?;
                let accounts = ours.accounts("reader", ACCOUNTS).await?;
                let stream = Stream::open(&ours.leader().await?).await?;
                let room = ours.room(&stream, "fan-out", &accounts).await?;
                let grpc = Grpc {
                    streams: vec![stream],
                    places: vec![(accounts[0].user, room)],
                };
                let base = ours.gateway().to_owned();
                let server = Server::Gateway {
                    base,
                    accounts,
                    room,
                };
                (server, Sender::Ours(Arc::new(grpc)), ours.gateway_pids())
            }
            System::Nats => {
                let port = running.fanout_port().context("a port")?;
                // The first connection of a client that only publishes: by plain TCP.
                let url = running.nats_url().context("a url")?;
                let client = connect_nats(&url).await?;
                (Server::Nats(port), Sender::Nats(client), running.pids())
            }
            _ => {
                let port = running.fanout_port().context("a port")?;
                let (client, mut events) = mqtt(port, "writer");
                let task = tokio::spawn(async move { while events.poll().await.is_ok() {} });
                let sender = Sender::Mosquitto(client, task);
                (Server::Mosquitto(port), sender, running.pids())
            }
        };
        Ok(Self {
            running,
            server,
            sender,
            deliverers,
        })
    }

    /// Measures with so many readers.
    ///
    /// # Errors
    /// When a connection breaks or messages stop arriving.
    pub async fn measure(&self, cell: Cell, round: usize, lasting: Duration) -> Result<Record> {
        let readers = usize::try_from(cell.level)?;
        let board = Arc::new(Board::new(usize::try_from(FANOUT_WINDOW)?)?);
        let open = self.server.open(readers, &board).await?;
        let bytes = cell.bytes;
        let mut record = Record::new(cell, round);
        self.blast(&board, readers, bytes, lasting, &mut record)
            .await?;
        self.pace(&board, readers, bytes, lasting, &mut record)
            .await?;
        drop(open);
        // The server has seen them all go before the next ones come.
        sleep(Duration::from_millis(500)).await;
        Ok(record)
    }

    async fn blast(
        &self,
        board: &Arc<Board>,
        readers: usize,
        bytes: usize,
        lasting: Duration,
        record: &mut Record,
    ) -> Result<()> {
        let receivers = u32::try_from(readers)?;
        let from = Instant::now() + lasting / 4;
        let mut measured = None;
        let mut sends = JoinSet::new();
        while Instant::now() < from + lasting {
            if measured.is_none() && Instant::now() >= from {
                measured = Some((self.mark()?, board.deliveries(), Instant::now()));
            }
            let next = timeout(COMMIT_PATIENCE, board.send_windowed(receivers)).await;
            let number = next.context("messages stopped arriving")??;
            match &self.sender {
                // Its acknowledgement is not waited for: the window is what bounds.
                Sender::Ours(grpc) => {
                    let (grpc, body) = (Arc::clone(grpc), body(number, bytes));
                    sends.spawn(async move { grpc.commit(0, body).await });
                    while let Some(sent) = sends.try_join_next() {
                        sent??;
                    }
                }
                other => other.send(number, bytes).await?,
            }
        }
        let (before, deliveries, began) = measured.context("too short")?;
        let after = self.mark()?;
        let count = board.deliveries() - deliveries;
        let seconds = began.elapsed().as_secs_f64();
        record.set("deliveries_per_s", count as f64 / seconds);
        let per = |at: usize| after[at].since(before[at]).cpu_us as f64 / count.max(1) as f64;
        record.set("server_us_per_delivery", per(0));
        record.set("all_servers_us_per_delivery", per(1));
        record.set("generator_us_per_delivery", per(2));
        while let Some(sent) = sends.join_next().await {
            sent??;
        }
        self.settle(board).await?;
        board.take_last();
        Ok(())
    }

    /// What deliverers, all servers and the generator have used.
    fn mark(&self) -> Result<[crate::proc::Usage; 3]> {
        let all = usage(&self.running.pids());
        Ok([usage(&self.deliverers), all, own()?])
    }

    /// Waits until everybody has everything, so that the next part begins with empty queues.
    async fn settle(&self, board: &Board) -> Result<()> {
        let deadline = Instant::now() + COMMIT_PATIENCE * 2;
        while board.under_way() > 0 {
            let left = board.under_way();
            ensure!(
                Instant::now() < deadline,
                "{left} messages never reached all"
            );
            sleep(LOOK).await;
        }
        Ok(())
    }

    async fn pace(
        &self,
        board: &Arc<Board>,
        readers: usize,
        bytes: usize,
        lasting: Duration,
        record: &mut Record,
    ) -> Result<()> {
        let receivers = u32::try_from(readers)?;
        let per_second = (PACED_DELIVERIES / u64::from(receivers)).max(1);
        let mut beat = interval(Duration::from_secs(1) / u32::try_from(per_second)?);
        let until = Instant::now() + lasting;
        while Instant::now() < until {
            beat.tick().await;
            let number = board.send(receivers);
            self.sender.send(number, bytes).await?;
        }
        self.settle(board).await?;
        record.set("paced_per_s", per_second as f64);
        record.set_latencies("last_", &board.take_last());
        Ok(())
    }

    /// Opens so many connections that only wait, and says what they cost.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub async fn idle(&self, cell: Cell, round: usize, lasting: Duration) -> Result<Record> {
        let count = usize::try_from(cell.level)?;
        let mut record = Record::new(cell, round);
        let before = usage(&self.deliverers);
        let began = Instant::now();
        let board = Arc::new(Board::new(1)?);
        let open = self.server.open(count, &board).await?;
        record.set("opened_per_s", count as f64 / began.elapsed().as_secs_f64());
        sleep(Duration::from_secs(2)).await;
        let opened = usage(&self.deliverers);
        sleep(lasting).await;
        let after = usage(&self.deliverers);
        let grown = after.rss_kib.saturating_sub(before.rss_kib) as f64;
        record.set("kib_per_connection", grown / count as f64);
        let share = after.since(opened).cpu_us as f64 / lasting.as_micros() as f64;
        record.set("cpu_percent", share * 100.0);
        drop(open);
        Ok(record)
    }
}

async fn connect_nats(url: &str) -> Result<async_nats::Client> {
    let deadline = Instant::now() + COMMIT_PATIENCE;
    loop {
        match async_nats::connect(url).await {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => sleep(LOOK).await,
        }
    }
}
