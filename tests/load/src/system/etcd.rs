//! etcd: a put is a message.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use scenarios::ports;
use tokio::time::{Instant, sleep};

use super::peer::{Peer, find, says};
use crate::client::Kind;
use crate::limits::{LOOK, START_PATIENCE};
use crate::record::Subject;

/// A cluster of etcd.
#[derive(Debug)]
pub(super) struct Etcd {
    pub(super) nodes: Vec<Peer>,
    pub(super) urls: Vec<String>,
}

pub(super) fn subject() -> Result<Subject> {
    let program = find("etcd", &[]).context("etcd is not installed (etcd-server)")?;
    Ok(Subject {
        system: "etcd".to_owned(),
        version: says(&program, &["--version"], "Version")?,
        durability: "default: fsync of the write-ahead log on a quorum before the answer"
            .to_owned(),
    })
}

impl Etcd {
    pub(super) async fn start(replicas: usize, root: &Path) -> Result<Self> {
        let program = find("etcd", &[]).context("etcd is not installed")?;
        let members: Vec<(u16, u16)> = (0..replicas)
            .map(|_| (ports::free(), ports::free()))
            .collect();
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let all: Vec<String> = members
            .iter()
            .enumerate()
            .map(|(number, (_, peer))| format!("e{number}={}", url(*peer)))
            .collect();
        let mut nodes = Vec::new();
        for (number, (client, peer)) in members.iter().enumerate() {
            let mut command = Command::new(&program);
            let name = format!("e{number}");
            command.arg("--data-dir").arg(root.join(&name));
            for (flag, value) in [
                ("--name", name.clone()),
                ("--listen-client-urls", url(*client)),
                ("--advertise-client-urls", url(*client)),
                ("--listen-peer-urls", url(*peer)),
                ("--initial-advertise-peer-urls", url(*peer)),
                ("--initial-cluster", all.join(",")),
                ("--log-level", "warn".to_owned()),
                ("--logger", "zap".to_owned()),
            ] {
                command.arg(flag).arg(value);
            }
            nodes.push(Peer::start(command, &root.join(format!("{name}.log")))?);
        }
        let urls = members.iter().map(|(client, _)| url(*client)).collect();
        Ok(Self { nodes, urls })
    }

    /// The index of the member that leads, once there is one.
    pub(super) async fn leader(&self) -> Result<usize> {
        let deadline = Instant::now() + START_PATIENCE;
        while Instant::now() < deadline {
            for (index, url) in self.urls.iter().enumerate() {
                if leads(url).await.unwrap_or(false) {
                    return Ok(index);
                }
            }
            sleep(LOOK).await;
        }
        bail!("etcd has no leader after {START_PATIENCE:?}")
    }

    /// Clients of the leader: a follower would only pass on what it is sent.
    pub(super) async fn client(&self, connections: usize) -> Result<Kind> {
        let url = &self.urls[self.leader().await?];
        let mut clients = Vec::new();
        for _ in 0..connections {
            let client = etcd_client::Client::connect([url], None).await?;
            clients.push(client.kv_client());
        }
        Ok(Kind::Etcd(clients))
    }
}

async fn leads(url: &str) -> Result<bool> {
    let mut client = etcd_client::Client::connect([url], None).await?;
    let status = client.status().await?;
    let own = status.header().context("an answer has a header")?;
    Ok(status.leader() != 0 && status.leader() == own.member_id())
}
