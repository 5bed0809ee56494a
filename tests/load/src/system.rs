//! What is measured: our cluster and its peers, started fresh on loopback, each with its data
//! under the same directory.

mod etcd;
mod mosquitto;
mod nats;
mod ours;
mod peer;
mod rabbitmq;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

pub use ours::Ours;

use crate::client::{Client, Kind};
use crate::limits::{LOOK, START_PATIENCE};
use crate::record::Subject;

/// Which system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum System {
    /// Ours.
    Chatterbox,
    /// A cluster of etcd.
    Etcd,
    /// A quorum queue.
    Rabbitmq,
    /// JetStream; the plain server for the fan-out.
    Nats,
    /// One broker, for the fan-out.
    Mosquitto,
}

/// The systems that replicate.
pub const REPLICATED: [System; 4] = [
    System::Chatterbox,
    System::Etcd,
    System::Rabbitmq,
    System::Nats,
];
/// The systems that send each message to many.
pub const FANOUT: [System; 3] = [System::Chatterbox, System::Nats, System::Mosquitto];

impl System {
    /// What it is called, its version, and what it has on disk when it acknowledges.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn subject(self) -> Result<Subject> {
        match self {
            Self::Chatterbox => Ok(ours::subject()),
            Self::Etcd => etcd::subject(),
            Self::Rabbitmq => rabbitmq::subject(),
            Self::Nats => nats::subject(),
            Self::Mosquitto => mosquitto::subject(),
        }
    }

    /// Its name in the tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Chatterbox => "Chatterbox",
            Self::Etcd => "etcd",
            Self::Rabbitmq => "RabbitMQ",
            Self::Nats => "NATS",
            Self::Mosquitto => "mosquitto",
        }
    }
}

enum Inner {
    Ours(Box<Ours>),
    Etcd(etcd::Etcd),
    RabbitMq(rabbitmq::RabbitMq),
    Nats(nats::Nats),
    Mosquitto(mosquitto::Mosquitto),
}

/// A running system. Everything ends and is deleted when it is dropped.
pub struct Running {
    // The processes end before their directory goes.
    inner: Inner,
    _root: TempDir,
}

impl Running {
    /// Starts one; what it may still lack is awaited by [`Running::client`].
    ///
    /// # Errors
    /// When a program is missing or does not come up.
    pub async fn start(system: System, replicas: usize) -> Result<Self> {
        let root = tempfile::Builder::new().prefix("load-").tempdir()?;
        let path = root.path();
        let started = match system {
            System::Chatterbox => Ours::start(replicas).await.map(Box::new).map(Inner::Ours),
            System::Etcd => etcd::Etcd::start(replicas, path).await.map(Inner::Etcd),
            System::Rabbitmq => rabbitmq::RabbitMq::start(replicas, path)
                .await
                .map(Inner::RabbitMq),
            System::Nats => nats::Nats::start(replicas, path).await.map(Inner::Nats),
            System::Mosquitto => mosquitto::Mosquitto::start(path)
                .await
                .map(Inner::Mosquitto),
        };
        let inner = started.with_context(|| format!("start {}", system.name()))?;
        Ok(Self { inner, _root: root })
    }

    /// The ids of its processes.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let ids = |nodes: &[peer::Peer]| nodes.iter().map(peer::Peer::id).collect();
        match &self.inner {
            Inner::Ours(ours) => ours.pids(),
            Inner::Etcd(etcd) => ids(&etcd.nodes),
            Inner::RabbitMq(rabbit) => ids(&rabbit.nodes),
            Inner::Nats(nats) => ids(&nats.nodes),
            Inner::Mosquitto(mosquitto) => vec![mosquitto.node.id()],
        }
    }

    /// Senders over so many connections, once the system commits what they send.
    ///
    /// # Errors
    /// When it does not within two minutes.
    pub async fn client(&self, connections: usize, word: &str) -> Result<Client> {
        let kind = match &self.inner {
            Inner::Ours(ours) => ours.grpc(connections, word).await?,
            Inner::Etcd(etcd) => etcd.client(connections).await?,
            Inner::RabbitMq(rabbit) => rabbit.client(connections).await?,
            Inner::Nats(nats) => nats.client(connections).await?,
            Inner::Mosquitto(_) => bail!("mosquitto replicates nothing"),
        };
        commits(kind).await
    }

    /// Our people over WebSocket.
    ///
    /// # Errors
    /// When this is not our cluster, or it does not commit.
    pub async fn people(&self, people: usize, word: &str) -> Result<Client> {
        commits(self.ours()?.web(people, word).await?).await
    }

    /// Our cluster.
    ///
    /// # Errors
    /// When this is another system.
    pub fn ours(&self) -> Result<&Ours> {
        match &self.inner {
            Inner::Ours(ours) => Ok(ours),
            _ => bail!("only our cluster has that"),
        }
    }

    /// Our cluster, to do something to it.
    ///
    /// # Errors
    /// When this is another system.
    pub fn ours_mut(&mut self) -> Result<&mut Ours> {
        match &mut self.inner {
            Inner::Ours(ours) => Ok(ours),
            _ => bail!("only our cluster has that"),
        }
    }

    /// Where the first server of NATS takes WebSockets, or mosquitto its clients.
    #[must_use]
    pub fn fanout_port(&self) -> Option<u16> {
        match &self.inner {
            Inner::Nats(nats) => Some(nats.web_port),
            Inner::Mosquitto(mosquitto) => Some(mosquitto.port),
            _ => None,
        }
    }

    /// Where the first server of NATS takes plain clients.
    #[must_use]
    pub fn nats_url(&self) -> Option<String> {
        match &self.inner {
            Inner::Nats(nats) => nats.urls.first().map(|(_, url)| url.clone()),
            _ => None,
        }
    }

    /// The urls of etcd.
    #[must_use]
    pub fn etcd_urls(&self) -> Vec<String> {
        match &self.inner {
            Inner::Etcd(etcd) => etcd.urls.clone(),
            _ => Vec::new(),
        }
    }

    /// Kills the leader of etcd.
    ///
    /// # Errors
    /// When this is another system, or has no leader.
    pub async fn kill_etcd_leader(&mut self) -> Result<()> {
        let Inner::Etcd(etcd) = &mut self.inner else {
            bail!("this is not etcd");
        };
        let leader = etcd.leader().await?;
        etcd.nodes[leader].kill();
        Ok(())
    }
}

async fn commits(kind: Kind) -> Result<Client> {
    let client = Client::new(kind);
    let deadline = Instant::now() + START_PATIENCE;
    while let Err(error) = client.commit(0, 128).await {
        if Instant::now() > deadline {
            return Err(error.context("it does not commit"));
        }
        sleep(LOOK).await;
    }
    Ok(client)
}
