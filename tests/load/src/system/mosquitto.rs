//! mosquitto: one broker, for the fan-out only. It replicates nothing.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use scenarios::ports;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::peer::{Peer, find, says};
use crate::limits::{LOOK, START_PATIENCE};
use crate::record::Subject;

/// Debian puts it where only root looks.
const BESIDE: &[&str] = &["/usr/sbin"];

/// A broker.
#[derive(Debug)]
pub(super) struct Mosquitto {
    pub(super) node: Peer,
    pub(super) port: u16,
}

pub(super) fn subject() -> Result<Subject> {
    let program = find("mosquitto", BESIDE).context("mosquitto is not installed")?;
    Ok(Subject {
        system: "mosquitto".to_owned(),
        version: says(&program, &["-h"], "version")?,
        durability: "one broker, QoS 0, nothing on disk: fan-out only".to_owned(),
    })
}

impl Mosquitto {
    pub(super) async fn start(root: &Path) -> Result<Self> {
        let program = find("mosquitto", BESIDE).context("mosquitto is not installed")?;
        let port = ports::free();
        let path = root.join("mosquitto.conf");
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n\
             max_connections -1\nlog_type error\nuser root\n"
        );
        std::fs::write(&path, config)?;
        let mut command = Command::new(program);
        command.arg("-c").arg(&path);
        let node = Peer::start(command, &root.join("mosquitto.log"))?;
        let deadline = Instant::now() + START_PATIENCE;
        while let Err(error) = TcpStream::connect(("127.0.0.1", port)).await {
            ensure!(Instant::now() < deadline, "mosquitto: {error}");
            sleep(LOOK).await;
        }
        Ok(Self { node, port })
    }
}
