//! Replicas inside the test's process: real log, real state, real gRPC on loopback. The test
//! itself plays the membership service, which shows that replicas need no more of it.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use ops::shutdown::Token;
use proto::v1 as pb;
use proto::v1::admin_client::AdminClient;
use proto::v1::chat_client::ChatClient;
use proto::v1::command::Body;
use proto::v1::submit_response::Kind;
use replica::Options;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use uuid::Uuid;

/// Bounds every wait. Reached only when something is broken.
const DEADLINE: Duration = Duration::from_secs(30);

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// Waits until `probe` gives something.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// One running replica, on a runtime of its own so that it can be killed.
pub(crate) struct Process {
    runtime: Option<Runtime>,
    task: JoinHandle<Result<(), replica::Error>>,
    stop: Token,
}

impl Process {
    /// Starts on a directory and an address; `None` while either is still taken by the one
    /// that was killed.
    fn try_start(data: &Path, address: SocketAddr) -> Option<(Self, SocketAddr)> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = match runtime.block_on(TcpListener::bind(address)) {
            Ok(listener) => listener,
            Err(_) => {
                runtime.shutdown_background();
                return None;
            }
        };
        let address = listener.local_addr().expect("bound");
        let options = options(data, &address.to_string());
        let stop = Token::new();
        let task = runtime.spawn(replica::run(options, listener, stop.clone()));
        Some((
            Self {
                runtime: Some(runtime),
                task,
                stop,
            },
            address,
        ))
    }

    /// Whether it runs after a moment: a directory in use ends it at once.
    async fn lives(&self) -> bool {
        tokio::time::sleep(Duration::from_millis(100)).await;
        !self.task.is_finished()
    }

    /// No goodbye: whatever it was doing ends in the middle.
    pub(crate) fn kill(mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// As SIGTERM does it.
    pub(crate) async fn stop(mut self) -> Result<(), replica::Error> {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(3), &mut self.task).await;
        let ended = ended.expect("it stops within 3 s").expect("no panic");
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        ended
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The settings of a test's replica.
pub(crate) fn options(data: &Path, listen: &str) -> Options {
    Options {
        listen: listen.to_owned(),
        data: data.to_path_buf(),
        membership: NOWHERE.to_owned(),
        ..Options::default()
    }
}

/// A cluster; index 0 is r1.
pub(crate) struct Cluster {
    /// `None`: killed or stopped.
    pub(crate) processes: Vec<Option<Process>>,
    /// Where they listen.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Their directories.
    pub(crate) data: Vec<TempDir>,
}

impl Cluster {
    /// Replicas without a cluster.
    pub(crate) fn unformed(count: usize) -> Self {
        let directories = (0..count).map(|_| TempDir::new().expect("a directory"));
        Self::on(directories.collect())
    }

    /// Replicas on directories as they are.
    pub(crate) fn on(directories: Vec<TempDir>) -> Self {
        let mut cluster = Self {
            processes: Vec::new(),
            addresses: Vec::new(),
            data: Vec::new(),
        };
        for data in directories {
            let free = SocketAddr::from(([127, 0, 0, 1], 0));
            let (process, address) =
                tokio::task::block_in_place(|| Process::try_start(data.path(), free))
                    .expect("a free port");
            cluster.processes.push(Some(process));
            cluster.addresses.push(address);
            cluster.data.push(data);
        }
        cluster
    }

    /// A formed cluster with a leader.
    pub(crate) async fn formed(count: usize) -> Self {
        let cluster = Self::unformed(count);
        let genesis = cluster.genesis().await;
        for index in 0..count {
            let request = pb::InstallGenesisRequest {
                genesis: Some(genesis.clone()),
            };
            cluster
                .admin(index)
                .await
                .install_genesis(request)
                .await
                .expect("installed");
        }
        for index in 0..count {
            cluster.confirm(index, &genesis).await;
        }
        cluster.leader().await;
        cluster
    }

    /// A genesis that names all replicas in order.
    pub(crate) async fn genesis(&self) -> pb::Genesis {
        let mut voters = Vec::new();
        for (index, address) in self.addresses.iter().enumerate() {
            let identity = self
                .admin(index)
                .await
                .get_identity(pb::GetIdentityRequest {})
                .await;
            voters.push(pb::GenesisVoter {
                node: index as u64 + 1,
                disk_id: identity.expect("always answered").into_inner().disk_id,
                address: address.to_string(),
            });
        }
        pb::Genesis {
            cluster_id: Uuid::new_v4().to_string(),
            cluster_name: "test".to_owned(),
            shard: 0,
            voters,
            client_epoch: 0,
        }
    }

    /// Lets one replica vote.
    pub(crate) async fn confirm(&self, index: usize, genesis: &pb::Genesis) {
        let request = pb::ConfirmGenesisRequest {
            cluster_id: genesis.cluster_id.clone(),
        };
        self.admin(index)
            .await
            .confirm_genesis(request)
            .await
            .expect("confirmed");
    }

    /// A connection to one replica.
    pub(crate) async fn channel(&self, index: usize) -> Channel {
        let url = format!("http://{}", self.addresses[index]);
        let endpoint = Channel::from_shared(url).expect("an address");
        eventually("a connection", async || endpoint.connect().await.ok()).await
    }

    /// For operators.
    pub(crate) async fn admin(&self, index: usize) -> AdminClient<Channel> {
        AdminClient::new(self.channel(index).await)
    }

    /// For gateways.
    pub(crate) async fn chat(&self, index: usize) -> ChatClient<Channel> {
        ChatClient::new(self.channel(index).await)
    }

    /// What a replica says of itself.
    pub(crate) async fn status(&self, index: usize) -> pb::GetStatusResponse {
        let status = self
            .admin(index)
            .await
            .get_status(pb::GetStatusRequest {})
            .await;
        status.expect("always answered").into_inner()
    }

    /// Those that run.
    pub(crate) fn alive(&self) -> Vec<usize> {
        (0..self.processes.len())
            .filter(|&index| self.processes[index].is_some())
            .collect()
    }

    /// The replica that all that run believe to lead.
    pub(crate) async fn leader(&self) -> usize {
        eventually("one leader", async || {
            let mut leaders = Vec::new();
            for index in self.alive() {
                leaders.push(self.status(index).await.leader);
            }
            let first = *leaders.first()?;
            let index = usize::try_from(first).ok()?.checked_sub(1)?;
            let agreed = leaders.iter().all(|leader| *leader == first);
            let leads = agreed
                && self.processes[index].is_some()
                && self.status(index).await.role == "leader";
            leads.then_some(index)
        })
        .await
    }

    /// Kills one.
    pub(crate) fn kill(&mut self, index: usize) {
        self.processes[index].take().expect("it runs").kill();
    }

    /// Starts it again on its directory and address.
    pub(crate) async fn restart(&mut self, index: usize) {
        assert!(self.processes[index].is_none(), "it does not run");
        let (data, address) = (self.data[index].path().to_path_buf(), self.addresses[index]);
        let process = eventually("the directory and the port are free", async || {
            let (process, _) = tokio::task::block_in_place(|| Process::try_start(&data, address))?;
            process.lives().await.then_some(process)
        })
        .await;
        self.processes[index] = Some(process);
    }

    /// Waits until all that run have applied the same, and compares their logs.
    pub(crate) async fn equal_logs(&self) -> Vec<pb::Entry> {
        self.equal_logs_of(&self.alive()).await
    }

    /// The same for these.
    pub(crate) async fn equal_logs_of(&self, replicas: &[usize]) -> Vec<pb::Entry> {
        let upto = eventually("all have applied the same", async || {
            let mut slots = Vec::new();
            for &index in replicas {
                let status = self.status(index).await;
                slots.extend([status.decided, status.applied]);
            }
            let equal = slots.windows(2).all(|pair| pair[0] == pair[1]);
            equal.then_some(slots[0])
        })
        .await;
        let mut logs = Vec::new();
        for &index in replicas {
            let mut log = self.log(index).await;
            // A leader may have told something meanwhile.
            log.retain(|entry| entry.slot <= upto);
            logs.push(log);
        }
        for log in &logs[1..] {
            assert_eq!(log.len(), logs[0].len());
            for (left, right) in log.iter().zip(&logs[0]) {
                // The ballot may differ: catching up keeps the one under which it was learned.
                assert_eq!(
                    (left.slot, left.kind, &left.payload),
                    (right.slot, right.kind, &right.payload)
                );
                assert_eq!(left.chain, right.chain);
            }
        }
        logs.swap_remove(0)
    }

    /// The decided log of one.
    pub(crate) async fn log(&self, index: usize) -> Vec<pb::Entry> {
        let request = pb::ReadLogRequest { from: 0, upto: 0 };
        let rows = self
            .admin(index)
            .await
            .read_log(request)
            .await
            .expect("a log")
            .into_inner();
        rows.map(|row| row.expect("readable").entry.expect("an entry"))
            .collect()
            .await
    }

    /// Gives one command to one replica and returns the first answer that is not progress.
    pub(crate) async fn submit(&self, index: usize, command: pb::Command) -> Kind {
        let mut chat = self.chat(index).await;
        let request = pb::SubmitRequest {
            shard: 0,
            command: Some(command),
            progress: false,
            traceparent: String::new(),
        };
        let requests = tokio_stream::once(request).chain(tokio_stream::pending());
        let mut answers = chat.submit(requests).await.expect("a stream").into_inner();
        let answer = tokio::time::timeout(DEADLINE, answers.message())
            .await
            .expect("in time");
        answer
            .expect("no error")
            .expect("an answer")
            .kind
            .expect("a kind")
    }

    /// Gives a command to whoever leads until it is applied.
    pub(crate) async fn commit(&self, command: pb::Command) -> pb::Outcome {
        eventually("committed", async || {
            let leader = self.leader().await;
            match self.submit(leader, command.clone()).await {
                Kind::Outcome(outcome) => Some(outcome),
                Kind::NotAccepted(_) => None,
                Kind::Progress(_) => panic!("nobody asked for progress"),
            }
        })
        .await
    }
}

/// A new account's command.
pub(crate) fn sign_up(name: &str) -> pb::Command {
    let account = pb::CreateAccount {
        name: name.to_owned(),
        token_hash: token_hash(name),
        ..pb::CreateAccount::default()
    };
    command(0, Body::CreateAccount(account))
}

/// The hash that `sign_up` stores. Any 32 bytes will do.
pub(crate) fn token_hash(name: &str) -> Vec<u8> {
    let mut hash = name.as_bytes().to_vec();
    hash.resize(32, 0);
    hash
}

/// A message to the first room.
pub(crate) fn post(author: u64, body: &str) -> pb::Command {
    command(
        author,
        Body::PostMessage(pb::PostMessage {
            room: 1,
            body: body.to_owned(),
            reply_to: 0,
        }),
    )
}

/// Out of the first room.
pub(crate) fn leave(author: u64) -> pb::Command {
    command(author, Body::LeaveRoom(pb::LeaveRoom { room: 1 }))
}

fn command(author: u64, body: Body) -> pb::Command {
    let cid = Uuid::now_v7().into_bytes().to_vec();
    pb::Command {
        cid: cid.into(),
        author,
        body: Some(body),
        ..pb::Command::default()
    }
}

/// Signs up and returns the account's id.
pub(crate) async fn person(cluster: &Cluster, name: &str) -> u64 {
    match cluster.commit(sign_up(name)).await.result {
        Some(pb::outcome::Result::AccountCreated(account)) => account.user,
        other => panic!("an account: {other:?}"),
    }
}

/// The bodies of the first room's messages, in order, at one replica.
pub(crate) async fn bodies(cluster: &Cluster, index: usize, min_slot: u64) -> Vec<String> {
    let events = history(cluster, index, min_slot).await;
    let body = |event: pb::RoomEvent| match event.kind {
        Some(pb::room_event::Kind::Message(message)) => Some(message.body),
        _ => None,
    };
    events.into_iter().filter_map(body).collect()
}

/// All events of the first room at one replica.
pub(crate) async fn history(cluster: &Cluster, index: usize, min_slot: u64) -> Vec<pb::RoomEvent> {
    let mut chat = cluster.chat(index).await;
    let mut events: Vec<pb::RoomEvent> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.seq);
        let request = pb::GetHistoryRequest {
            room: 1,
            range: Some(pb::get_history_request::Range::After(after)),
            limit: 500,
            min_slot,
            ..pb::GetHistoryRequest::default()
        };
        let page = chat
            .get_history(request)
            .await
            .expect("a page")
            .into_inner();
        assert!(page.applied >= min_slot, "as new as was asked");
        if page.events.is_empty() {
            assert_eq!(page.head, after, "nothing is missing");
            return events;
        }
        events.extend(page.events);
    }
}
