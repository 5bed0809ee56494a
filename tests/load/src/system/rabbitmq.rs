//! RabbitMQ: a confirmed publish to a quorum queue is a message.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lapin::options::{ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use scenarios::ports;
use tokio::time::{Instant, sleep};

use super::peer::{Peer, find, says};
use crate::client::{Kind, QUEUE};
use crate::limits::{LOOK, START_PATIENCE};
use crate::record::Subject;

/// The script itself: the one in /usr/sbin changes to another user.
const BESIDE: &[&str] = &["/usr/lib/rabbitmq/bin"];

/// A cluster of RabbitMQ.
pub(super) struct RabbitMq {
    pub(super) nodes: Vec<Peer>,
    ports: Vec<u16>,
    replicas: usize,
    /// Closed when dropped.
    connections: tokio::sync::Mutex<Vec<Connection>>,
}

fn program() -> Result<std::path::PathBuf> {
    let script = Path::new(BESIDE[0]).join("rabbitmq-server");
    let found = script.is_file().then_some(script);
    found
        .or_else(|| find("rabbitmq-server", &[]))
        .context("RabbitMQ is not installed (rabbitmq-server)")
}

pub(super) fn subject() -> Result<Subject> {
    let ctl = program()?.with_file_name("rabbitmqctl");
    Ok(Subject {
        system: "RabbitMQ".to_owned(),
        version: format!("RabbitMQ {}", says(&ctl, &["version"], ".")?),
        durability: "quorum queue, default: fsync on a quorum before the confirm".to_owned(),
    })
}

impl RabbitMq {
    pub(super) async fn start(replicas: usize, root: &Path) -> Result<Self> {
        let program = program()?;
        // A name server of our own, so that it ends with the run and disturbs nobody.
        let names = ports::free();
        let epmd = find("epmd", &[]).context("epmd is not installed (erlang-base)")?;
        let mut command = Command::new(epmd);
        command.arg("-port").arg(names.to_string());
        let mut nodes = vec![Peer::start(command, &root.join("epmd.log"))?];
        let members: Vec<(u16, u16)> = (0..replicas)
            .map(|_| (ports::free(), ports::free()))
            .collect();
        let mut known = String::new();
        for number in 1..=replicas {
            known.push_str(&format!(
                "cluster_formation.classic_config.nodes.{number} = b{number}@localhost\n"
            ));
        }
        for (index, (port, dist)) in members.iter().enumerate() {
            let name = format!("b{}", index + 1);
            let home = root.join(&name);
            std::fs::create_dir_all(&home)?;
            let config = format!(
                "listeners.tcp.1 = 127.0.0.1:{port}\nlog.file.level = warning\n\
                 cluster_formation.peer_discovery_backend = classic_config\n{known}"
            );
            std::fs::write(home.join("rabbitmq.conf"), config)?;
            std::fs::write(home.join("plugins"), "[].\n")?;
            let mut command = Command::new(&program);
            command
                .env("HOME", &home)
                // One process instead of a shell that waits for another.
                .env("RUNNING_UNDER_SYSTEMD", "true")
                .env("ERL_EPMD_PORT", names.to_string())
                .env("RABBITMQ_NODENAME", format!("{name}@localhost"))
                .env("RABBITMQ_DIST_PORT", dist.to_string())
                .env("RABBITMQ_MNESIA_BASE", home.join("mnesia"))
                .env("RABBITMQ_LOG_BASE", &home)
                .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq.conf"))
                .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("plugins"))
                .env("RABBITMQ_PID_FILE", home.join("pid"))
                .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-setcookie bench");
            nodes.push(Peer::start(command, &root.join(format!("{name}.log")))?);
        }
        Ok(Self {
            nodes,
            ports: members.into_iter().map(|(port, _)| port).collect(),
            replicas,
            connections: tokio::sync::Mutex::default(),
        })
    }

    /// Channels to the node that leads the queue: the one at which it was declared.
    pub(super) async fn client(&self, connections: usize) -> Result<Kind> {
        let deadline = Instant::now() + START_PATIENCE;
        // All must be there, or the queue would have fewer members.
        for port in &self.ports {
            while let Err(error) = connect(*port).await {
                ensure!(Instant::now() < deadline, "RabbitMQ: {error:#}");
                sleep(LOOK).await;
            }
        }
        let mut channels = Vec::new();
        let mut open = self.connections.lock().await;
        for _ in 0..connections {
            let connection = connect(self.ports[0]).await?;
            let channel = connection.create_channel().await?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            open.push(connection);
            channels.push(channel);
        }
        let mut settings = FieldTable::default();
        settings.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("quorum".into()),
        );
        let size = i32::try_from(self.replicas)?;
        settings.insert(
            "x-quorum-initial-group-size".into(),
            AMQPValue::LongInt(size),
        );
        channels[0]
            .queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), settings)
            .await?;
        Ok(Kind::Rabbit(channels))
    }
}

async fn connect(port: u16) -> Result<Connection> {
    let url = format!("amqp://guest:guest@127.0.0.1:{port}/%2f");
    Ok(Connection::connect(&url, ConnectionProperties::default()).await?)
}
