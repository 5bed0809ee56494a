//! Chatterbox: a message in a room is a message.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use proto::v1::{CreateRoom, JoinRoom, command, outcome};
use scenarios::Cluster;
use scenarios::client::GENERAL;
use workload::wire::Account;

use crate::board::Board;
use crate::client::{Grpc, Kind, Person, Stream, Web};
use crate::limits::{PEOPLE_PER_ROOM, SETUP_AT_ONCE, START_PATIENCE};
use crate::record::Subject;

/// Authors of the series that go straight to the leader, each with a room.
const AUTHORS: usize = 16;

/// A cluster of ours.
#[derive(Debug)]
pub struct Ours {
    /// The processes.
    pub cluster: Cluster,
}

pub(super) fn subject() -> Subject {
    Subject {
        system: "Chatterbox".to_owned(),
        version: format!("Chatterbox {}", env!("CARGO_PKG_VERSION")),
        durability: "default: fsync on a quorum, and applied, before the acknowledgement"
            .to_owned(),
    }
}

impl Ours {
    pub(super) async fn start(replicas: usize) -> Result<Self> {
        // What protects a gateway from people would only slow the generator down.
        let many = |key| (key, "1000000".to_owned());
        let gateway = [
            many("CHATTERBOX_GATEWAY_SENDS_PER_SECOND"),
            many("CHATTERBOX_GATEWAY_SENDS_BURST"),
            many("CHATTERBOX_GATEWAY_SIGN_UPS_PER_SECOND"),
            many("CHATTERBOX_GATEWAY_SOCKETS_PER_USER"),
            many("CHATTERBOX_GATEWAY_SOCKETS"),
            many("CHATTERBOX_GATEWAY_CONNECTIONS"),
            // All of them come from this machine.
            many("CHATTERBOX_GATEWAY_CONNECTIONS_PER_ADDRESS"),
            many("CHATTERBOX_GATEWAY_REQUESTS_PER_SECOND_ADDRESS"),
        ];
        let cluster = Cluster::start_tuned(replicas, &[], &gateway).await?;
        Ok(Self { cluster })
    }

    /// host:port of the replica that leads.
    ///
    /// # Errors
    /// When nobody does.
    pub async fn leader(&self) -> Result<String> {
        let leader = self.cluster.leader(START_PATIENCE).await?;
        Ok(self.cluster.replicas[leader].address.clone())
    }

    /// The process ids of replicas, gateway and membership.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let replicas = self.cluster.replicas.iter().map(|replica| &replica.process);
        let all = replicas
            .chain(&self.cluster.gateways)
            .chain([&self.cluster.membership]);
        all.filter_map(scenarios::process::Process::id).collect()
    }

    /// The process ids of the gateways.
    #[must_use]
    pub fn gateway_pids(&self) -> Vec<u32> {
        let gateways = self.cluster.gateways.iter();
        gateways
            .filter_map(scenarios::process::Process::id)
            .collect()
    }

    /// Where the gateway answers.
    #[must_use]
    pub fn gateway(&self) -> &str {
        &self.cluster.gateway_urls[0]
    }

    /// So many new accounts, whose names begin with `word`.
    ///
    /// # Errors
    /// When one cannot sign up.
    pub async fn accounts(&self, word: &str, count: usize) -> Result<Vec<Account>> {
        let bases = &self.cluster.gateway_urls;
        let made = stream::iter(0..count).map(|number| async move {
            let name = format!("{word}{number}");
            Account::sign_up(bases, &name, Duration::from_secs(20)).await
        });
        made.buffered(SETUP_AT_ONCE).try_collect().await
    }

    /// A new public room with these people in it.
    ///
    /// # Errors
    /// When the leader refuses.
    pub async fn room(&self, leader: &Stream, name: &str, people: &[Account]) -> Result<u64> {
        let owner = people.first().context("a room has people")?.user;
        let create = CreateRoom {
            name: name.to_owned(),
            private: false,
        };
        let made = leader
            .command(owner, command::Body::CreateRoom(create))
            .await?;
        let Some(outcome::Result::RoomChanged(changed)) = made.result else {
            anyhow::bail!("no room: {made:?}");
        };
        let room = changed.room;
        for person in &people[1..] {
            let join = command::Body::JoinRoom(JoinRoom { room });
            leader.command(person.user, join).await?;
        }
        Ok(room)
    }

    /// Senders straight to the leader.
    pub(super) async fn grpc(&self, connections: usize, word: &str) -> Result<Kind> {
        let leader = self.leader().await?;
        let mut streams = Vec::new();
        for _ in 0..connections {
            streams.push(Stream::open(&leader).await?);
        }
        let accounts = self.accounts(word, AUTHORS).await?;
        let mut places = Vec::new();
        for account in &accounts {
            let name = format!("{word}-{}", account.user);
            let room = self
                .room(&streams[0], &name, std::slice::from_ref(account))
                .await?;
            places.push((account.user, room));
        }
        Ok(Kind::Grpc(Arc::new(Grpc { streams, places })))
    }

    /// So many people with a socket each, four to a room.
    pub(super) async fn web(&self, people: usize, word: &str) -> Result<Kind> {
        let leader = Stream::open(&self.leader().await?).await?;
        // Whoever writes has somebody who reads.
        let people = people.max(PEOPLE_PER_ROOM);
        ensure!(
            people.is_multiple_of(PEOPLE_PER_ROOM),
            "{people} people are not in fours"
        );
        let accounts = self.accounts(word, people).await?;
        let board = Arc::new(Board::new(0)?);
        let mut sockets = Vec::new();
        for (number, four) in accounts.chunks(PEOPLE_PER_ROOM).enumerate() {
            let name = format!("{word}-room-{number}");
            let room = self.room(&leader, &name, four).await?;
            for account in four {
                let board = Some(Arc::clone(&board));
                sockets.push(Person::open(self.gateway(), account, room, board).await?);
            }
        }
        Ok(Kind::Web(Arc::new(Web {
            people: sockets,
            board,
            per_room: u32::try_from(PEOPLE_PER_ROOM)?,
        })))
    }

    /// Somebody in the first room, and the room.
    ///
    /// # Errors
    /// When it cannot sign up.
    pub async fn somebody(&self, name: &str) -> Result<(Account, u64)> {
        let account = Account::sign_up(&self.cluster.gateway_urls, name, START_PATIENCE).await?;
        Ok((account, GENERAL))
    }
}
