//! Replicas and a membership service that share one state machine and fail on command.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use gateway::config::Options;
use proto::v1::admin_server::AdminServer;
use proto::v1::chat_server::ChatServer;
use proto::v1::membership_server::MembershipServer;
use proto::v1::not_accepted::Reason;
use proto::v1::progress::Stage;
use proto::v1::relay_server::RelayServer;
use proto::v1::submit_response::Kind;
use proto::v1::*;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;
use tonic::transport::Server as Grpc;

use crate::machine::{FIRST_SLOT, Machine};

mod admin;
mod chat;
mod relay;

use admin::Registry;

/// What a replica does with commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnSubmit {
    /// As it should.
    Answer,
    /// Commits, then breaks the stream without an answer. Once.
    CommitAndBreak,
    /// Breaks the stream without committing. Once.
    Break,
    /// Says that it has no room, so many times.
    Overloaded(u32),
    /// Takes commands and says nothing.
    Silent,
    /// Answers after this.
    Slow(u64),
    /// Calls nothing a repetition: two gateways asked for the same, and both were first.
    BothFirst,
}

#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) on_submit: OnSubmit,
    /// Answers nothing at all, and its streams are broken.
    pub(crate) down: bool,
    /// Says that it follows the log only up to here.
    pub(crate) applied_max: Option<u64>,
    /// Its next stream of the log begins so many slots too early.
    pub(crate) tail_repeats: u64,
    /// Its streams of the log stand still.
    pub(crate) tail_stalls: bool,
}

/// The whole cluster.
pub(crate) struct World {
    pub(crate) machine: Mutex<Machine>,
    pub(crate) leader: Mutex<u64>,
    /// Whether a NOT_LEADER names the leader.
    pub(crate) hints: Mutex<bool>,
    pub(crate) quorum: Mutex<bool>,
    faults: Mutex<BTreeMap<u64, Faults>>,
    addresses: Mutex<BTreeMap<u64, String>>,
    /// Bumped whenever something changes that a stream waits for.
    changed: watch::Sender<u64>,
    /// Bumped to break the streams of a node's log.
    tail_breaks: watch::Sender<u64>,
    /// What gateways whisper at each replica.
    whispers: Mutex<BTreeMap<u64, broadcast::Sender<Whisper>>>,
    membership: Mutex<String>,
    pub(crate) membership_down: Mutex<bool>,
    pub(crate) heartbeats: Mutex<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl World {
    /// Three replicas, the first one leads, and a membership service.
    pub(crate) async fn start() -> Arc<Self> {
        let world = Arc::new(Self {
            machine: Mutex::default(),
            leader: Mutex::new(1),
            hints: Mutex::new(true),
            quorum: Mutex::new(true),
            faults: Mutex::default(),
            addresses: Mutex::default(),
            changed: watch::channel(0).0,
            tail_breaks: watch::channel(0).0,
            whispers: Mutex::default(),
            membership: Mutex::default(),
            membership_down: Mutex::new(false),
            heartbeats: Mutex::new(0),
        });
        for node in 1..=3 {
            let double = Double {
                node,
                world: Arc::clone(&world),
            };
            let faults = Faults {
                on_submit: OnSubmit::Answer,
                down: false,
                applied_max: None,
                tail_repeats: 0,
                tail_stalls: false,
            };
            lock(&world.faults).insert(node, faults);
            let chat = Grpc::builder()
                .add_service(ChatServer::new(double.clone()))
                .add_service(RelayServer::new(double.clone()))
                .add_service(AdminServer::new(double));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            lock(&world.addresses).insert(node, listener.local_addr().unwrap().to_string());
            tokio::spawn(chat.serve_with_incoming(TcpListenerStream::new(listener)));
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        *lock(&world.membership) = format!("http://{}", listener.local_addr().unwrap());
        let service = MembershipServer::new(Registry(Arc::clone(&world)));
        let service = Grpc::builder().add_service(service);
        tokio::spawn(service.serve_with_incoming(TcpListenerStream::new(listener)));
        world
    }

    /// Where the gateways of a replica whisper.
    fn whispers(&self, node: u64) -> broadcast::Sender<Whisper> {
        let mut whispers = lock(&self.whispers);
        let said = whispers.entry(node);
        said.or_insert_with(|| broadcast::channel(64).0).clone()
    }

    /// Settings of a gateway of this cluster.
    pub(crate) fn options(&self) -> Options {
        Options {
            membership: lock(&self.membership).clone(),
            name: "g1".to_owned(),
            sends_per_second: 10_000,
            sends_burst: 10_000,
            argon2_memory_kib: 8,
            argon2_passes: 1,
            ..Options::default()
        }
    }

    pub(crate) fn address(&self, node: u64) -> String {
        lock(&self.addresses)[&node].clone()
    }

    /// Changes the faults of a replica.
    pub(crate) fn fault(&self, node: u64, change: impl FnOnce(&mut Faults)) {
        change(lock(&self.faults).get_mut(&node).unwrap());
        self.bump();
    }

    pub(crate) fn set_leader(&self, node: u64) {
        *lock(&self.leader) = node;
        self.bump();
    }

    pub(crate) fn set_quorum(&self, quorum: bool) {
        *lock(&self.quorum) = quorum;
        self.bump();
    }

    /// Every stream of the log breaks now.
    pub(crate) fn break_tails(&self) {
        self.tail_breaks.send_modify(|count| *count += 1);
    }

    /// A command that came by another gateway.
    pub(crate) fn apply(&self, author: u64, body: command::Body) -> Outcome {
        let cid = uuid::Uuid::now_v7().into_bytes().to_vec().into();
        let outcome = lock(&self.machine).apply(Command {
            cid,
            author,
            body: Some(body),
            ..Command::default()
        });
        self.bump();
        outcome
    }

    /// A message that came by another gateway.
    pub(crate) fn post(&self, author: u64, room: u64, body: &str) -> u64 {
        let post = PostMessage {
            room,
            body: body.to_owned(),
            reply_to: 0,
        };
        match self.apply(author, command::Body::PostMessage(post)).result {
            Some(outcome::Result::MessagePosted(posted)) => posted.seq,
            other => panic!("{other:?}"),
        }
    }

    /// The bodies of all messages in a room, in order.
    pub(crate) fn bodies(&self, room: u64) -> Vec<String> {
        let machine = lock(&self.machine);
        let bodies = machine.rooms[&room]
            .events
            .iter()
            .filter_map(|event| match &event.kind {
                Some(room_event::Kind::Message(message)) => Some(message.body.clone()),
                _ => None,
            });
        bodies.collect()
    }

    pub(crate) fn head(&self, room: u64) -> u64 {
        lock(&self.machine).rooms[&room].events.len() as u64
    }

    fn bump(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

/// One replica.
#[derive(Clone)]
pub(crate) struct Double {
    node: u64,
    world: Arc<World>,
}

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Double {
    fn faults<T>(&self, ask: impl FnOnce(&mut Faults) -> T) -> T {
        ask(lock(&self.world.faults).get_mut(&self.node).unwrap())
    }

    fn up(&self) -> Result<(), Status> {
        if self.faults(|faults| faults.down) {
            Err(Status::unavailable("down"))
        } else {
            Ok(())
        }
    }

    fn applied(&self) -> u64 {
        let slot = lock(&self.world.machine).slot;
        let slot = if slot < FIRST_SLOT { 0 } else { slot };
        self.faults(|faults| faults.applied_max.map_or(slot, |max| slot.min(max)))
    }

    async fn reaches(&self, min_slot: u64) -> Result<u64, Status> {
        self.up()?;
        let mut changed = self.world.changed.subscribe();
        let reached = async {
            while self.applied() < min_slot {
                changed.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(Duration::from_secs(2), reached).await {
            Ok(()) => Ok(self.applied()),
            Err(_) => Err(Status::unavailable(
                "behind: this replica has not applied that slot",
            )),
        }
    }

    /// The answers to one command, or the break of the stream.
    async fn on_command(&self, request: SubmitRequest) -> Result<Vec<Kind>, Status> {
        self.up()?;
        let command = request.command.unwrap();
        let refuse = |reason: Reason, leader: u64| {
            let (cid, author) = (command.cid.to_vec(), command.author);
            let reason = reason.into();
            Ok(vec![Kind::NotAccepted(NotAccepted {
                cid,
                author,
                reason,
                leader,
                retry_ms: 20,
            })])
        };
        let leader = *lock(&self.world.leader);
        if leader != self.node {
            let hint = if *lock(&self.world.hints) { leader } else { 0 };
            return refuse(Reason::NotLeader, hint);
        }
        if !*lock(&self.world.quorum) {
            return refuse(Reason::NoQuorum, 0);
        }
        let on_submit = self.faults(|faults| {
            let now = faults.on_submit;
            match now {
                OnSubmit::CommitAndBreak | OnSubmit::Break | OnSubmit::Overloaded(0 | 1) => {
                    faults.on_submit = OnSubmit::Answer;
                }
                OnSubmit::Overloaded(more) => faults.on_submit = OnSubmit::Overloaded(more - 1),
                OnSubmit::Answer | OnSubmit::Silent | OnSubmit::Slow(_) | OnSubmit::BothFirst => {}
            }
            now
        });
        match on_submit {
            OnSubmit::Silent => return Ok(Vec::new()),
            OnSubmit::Break => return Err(Status::unavailable("broken")),
            OnSubmit::Overloaded(_) => return refuse(Reason::Overloaded, 0),
            OnSubmit::Slow(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            OnSubmit::Answer | OnSubmit::CommitAndBreak | OnSubmit::BothFirst => {}
        }
        let mut outcome = lock(&self.world.machine).apply(command);
        self.world.bump();
        outcome.duplicate &= on_submit != OnSubmit::BothFirst;
        if on_submit == OnSubmit::CommitAndBreak {
            return Err(Status::unavailable("broken after the commit"));
        }
        let mut answers = Vec::new();
        if request.progress {
            answers.extend([Stage::Proposed, Stage::Chosen].map(|stage| {
                let (cid, author, slot) = (outcome.cid.clone(), outcome.author, outcome.slot);
                Kind::Progress(Progress {
                    cid,
                    author,
                    slot,
                    stage: stage.into(),
                })
            }));
        }
        answers.push(Kind::Outcome(outcome));
        Ok(answers)
    }

    async fn send_log(self, mut sent: u64, answers: mpsc::Sender<Result<TailResponse, Status>>) {
        let mut changed = self.world.changed.subscribe();
        let mut breaks = self.world.tail_breaks.subscribe();
        breaks.mark_unchanged();
        loop {
            let upto = self.applied();
            let stalls = self.faults(|faults| faults.tail_stalls);
            let news: Vec<_> = {
                let machine = lock(&self.world.machine);
                let new = machine
                    .log
                    .iter()
                    .filter(|entry| entry.slot > sent && entry.slot <= upto);
                new.filter(|_| !stalls).take(64).cloned().collect()
            };
            for entry in &news {
                sent = entry.slot;
                let response = TailResponse {
                    slot: entry.slot,
                    effects: entry.effects.clone(),
                    ..TailResponse::default()
                };
                if answers.send(Ok(response)).await.is_err() {
                    return;
                }
            }
            if self.faults(|faults| faults.down) || breaks.has_changed().unwrap_or(true) {
                let _ = answers.send(Err(Status::unavailable("broken"))).await;
                return;
            }
            if news.is_empty() {
                tokio::select! {
                    _ = changed.changed() => {}
                    _ = breaks.changed() => {
                        let _ = answers.send(Err(Status::unavailable("broken"))).await;
                        return;
                    }
                }
            }
        }
    }
}
