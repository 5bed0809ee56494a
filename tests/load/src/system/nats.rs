//! NATS: a publish that a stream of JetStream acknowledges is a message; without JetStream it is
//! a peer for the fan-out over WebSocket.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use async_nats::jetstream::{self, stream};
use scenarios::ports;
use tokio::time::{Instant, sleep};

use super::peer::{Peer, find, says};
use crate::client::{Kind, SUBJECT};
use crate::limits::{LOOK, START_PATIENCE};
use crate::record::Subject;

const STREAM: &str = "BENCH";

/// Servers of NATS.
#[derive(Debug)]
pub(super) struct Nats {
    pub(super) nodes: Vec<Peer>,
    /// By the server's name.
    pub(super) urls: Vec<(String, String)>,
    /// Where the first server takes WebSockets.
    pub(super) web_port: u16,
    replicas: usize,
}

/// Whether this version can sync before it acknowledges: `sync_interval` came with 2.10.
fn syncs(version: &str) -> bool {
    let number = version.rsplit('v').next().unwrap_or_default();
    let mut parts = number
        .split('.')
        .filter_map(|part| part.parse::<u32>().ok());
    matches!((parts.next(), parts.next()), (Some(major), Some(minor)) if (major, minor) >= (2, 10))
}

fn version() -> Result<String> {
    let program = find("nats-server", &[]).context("nats-server is not installed")?;
    says(&program, &["--version"], "nats-server")
}

pub(super) fn subject() -> Result<Subject> {
    let version = version()?;
    let durability = if syncs(&version) {
        "JetStream, replicated, `sync_interval: always`: fsync before the acknowledgement"
    } else {
        "JetStream, replicated: written on a quorum, **no** fsync before the acknowledgement \
         (this version cannot; it syncs every two minutes)"
    };
    Ok(Subject {
        system: "NATS".to_owned(),
        version,
        durability: durability.to_owned(),
    })
}

impl Nats {
    pub(super) async fn start(replicas: usize, root: &Path) -> Result<Self> {
        let program = find("nats-server", &[]).context("nats-server is not installed")?;
        let always = if syncs(&version()?) {
            "sync_interval: always"
        } else {
            ""
        };
        // A cluster of one would wait for routes that never come.
        let alone = replicas == 1;
        let routes: Vec<u16> = (0..replicas).map(|_| ports::free()).collect();
        let known: Vec<String> = routes
            .iter()
            .map(|port| format!("nats://127.0.0.1:{port}"))
            .collect();
        let known = known.join(", ");
        let web_port = ports::free();
        let (mut nodes, mut urls) = (Vec::new(), Vec::new());
        for (number, route) in routes.iter().enumerate() {
            let (name, port) = (format!("n{number}"), ports::free());
            let web = if number == 0 { web_port } else { ports::free() };
            let store = root.join(&name).display().to_string();
            let config = format!(
                "server_name: {name}\nlisten: 127.0.0.1:{port}\nmax_connections: 100000\n\
                 jetstream {{ store_dir: \"{store}\"\n {always} }}\n\
                 websocket {{ listen: \"127.0.0.1:{web}\"\n no_tls: true }}\n"
            );
            let cluster = format!(
                "cluster {{ name: bench\n listen: 127.0.0.1:{route}\n routes: [{known}] }}\n"
            );
            let config = if alone { config } else { config + &cluster };
            let path = root.join(format!("{name}.conf"));
            std::fs::write(&path, config)?;
            let mut command = Command::new(&program);
            command.arg("-c").arg(&path);
            nodes.push(Peer::start(command, &root.join(format!("{name}.log")))?);
            urls.push((name, format!("nats://127.0.0.1:{port}")));
        }
        Ok(Self {
            nodes,
            urls,
            web_port,
            replicas,
        })
    }

    /// Clients of the server that leads the stream.
    pub(super) async fn client(&self, connections: usize) -> Result<Kind> {
        let deadline = Instant::now() + START_PATIENCE;
        let leader = loop {
            match self.stream_leader().await {
                Ok(leader) => break leader,
                Err(error) => ensure!(Instant::now() < deadline, "no stream: {error:#}"),
            }
            sleep(LOOK).await;
        };
        let url = self.urls.iter().find(|(name, _)| *name == leader);
        let (_, url) = url.with_context(|| format!("{leader} leads and is unknown"))?;
        let mut contexts = Vec::new();
        for _ in 0..connections {
            contexts.push(jetstream::new(async_nats::connect(url).await?));
        }
        Ok(Kind::Nats(contexts))
    }

    async fn stream_leader(&self) -> Result<String> {
        let context = jetstream::new(async_nats::connect(&self.urls[0].1).await?);
        let config = stream::Config {
            name: STREAM.to_owned(),
            subjects: vec![SUBJECT.to_owned()],
            num_replicas: self.replicas,
            storage: stream::StorageType::File,
            ..stream::Config::default()
        };
        let mut stream = context.get_or_create_stream(config).await?;
        let cluster = stream.info().await?.cluster.clone();
        let leader = cluster.and_then(|cluster| cluster.leader);
        match leader {
            Some(leader) if !leader.is_empty() => Ok(leader),
            _ => bail!("the stream has no leader yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::syncs;

    #[test]
    fn who_can_sync_is_known_by_version() {
        assert!(!syncs("nats-server: v2.9.10"));
        assert!(syncs("nats-server: v2.10.0"));
        assert!(syncs("nats-server: v3.0.1"));
        assert!(!syncs("something else"));
    }
}
