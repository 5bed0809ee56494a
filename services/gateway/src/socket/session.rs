//! One socket from `start` to its end.
//!
//! In: frames of the client, answers of the router, notes of the hub. Out: frames in the queue.
//! Must hold: docs/protocol.md 2. The session never waits for the client: what it says goes
//! into the queue, which is bounded, and a replay waits beside it.

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket};
use futures_util::StreamExt as _;
use futures_util::stream::SplitStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use crate::app::{App, Identity};
use crate::config::Options;
use crate::errors::Error;
use crate::frames::{
    ByeReason, ClientFrame, Joined, Me, ReadMarker, RoomSeqs, RoomWishes, ServerFrame,
};
use crate::ids::{Cid, RoomId, Seq, Useq};
use crate::limits::{
    ANSWERS_MAX, CLOSE_PATIENCE, DRAIN_PATIENCE, DRAIN_SPREAD_MS, FRAME_BYTES_MAX, HEARTBEAT,
    IDLE_TIMEOUT, IN_FLIGHT_MAX, INBOX_MAX, MALFORMED_MAX, MESSAGE_BYTES_MAX, START_TIMEOUT,
};
use crate::metrics::{METRICS, Refused};
use crate::route::{Answer, Submit, command};
use crate::traces;

use super::admission::{Bucket, Place, Rate};
use super::ephemera::Ephemera;
use super::hub::{Line, Note};
use super::replay::{From, replay};
use super::{Close, requests, writer};

/// Version of the protocol.
const VERSION: u32 = 1;

type Replay = (RoomId, Pin<Box<dyn Future<Output = ()> + Send>>);

/// A socket that belongs to somebody.
pub(super) struct Session {
    pub(super) app: Arc<App>,
    pub(super) person: Me,
    pub(super) line: Arc<Line>,
    place: Place,
    notes: mpsc::Receiver<Note>,
    answers: mpsc::Receiver<Answer>,
    answer_to: mpsc::Sender<Answer>,
    pub(super) rooms: BTreeSet<RoomId>,
    /// The last event of the own stream that the client was told of.
    pub(super) useq: Useq,
    pub(super) ephemera: Ephemera,
    in_flight: usize,
    malformed: u32,
    /// Whatever comes on the socket, pings too.
    frames: (Rate, Bucket),
    /// Rooms that wait for their replay, one after the other.
    replays: VecDeque<(RoomId, From)>,
    replay: Option<Replay>,
    /// When the gateway stops: until when the requests in flight may end.
    draining: Option<Instant>,
}

/// Runs a session to its end.
pub(super) async fn run(socket: WebSocket, app: Arc<App>, identity: Identity, place: Place) {
    let (sink, mut stream) = socket.split();
    let (inbox, notes) = mpsc::channel(INBOX_MAX);
    let (answer_to, answers) = mpsc::channel(ANSWERS_MAX);
    let user = identity.person.id;
    let line = Arc::new(Line::new(
        app.hub.line_number(),
        user,
        identity.token_hash,
        inbox,
    ));
    let mut writer = tokio::spawn(writer::run(sink, Arc::clone(&line)));
    let mut session = Session {
        line: Arc::clone(&line),
        place,
        notes,
        answers,
        answer_to,
        rooms: BTreeSet::new(),
        useq: Useq(0),
        ephemera: Ephemera::new(identity.person.role),
        person: identity.person,
        in_flight: 0,
        malformed: 0,
        frames: frames_of(&app.options),
        replays: VecDeque::new(),
        replay: None,
        draining: None,
        app: Arc::clone(&app),
    };
    let end = tokio::select! {
        end = session.live(&mut stream) => end,
        _ = &mut writer => None,
    };
    app.hub.detach(&line);
    app.ephemeral.leave(&line);
    drop(session);
    if let Some(close) = end {
        tracing::debug!(%user, reason = close.reason(), "closes a socket");
        line.outbox.close(close);
        let _ = timeout(CLOSE_PATIENCE, &mut writer).await;
    }
    writer.abort();
    // To hang up with unread bytes would reset the connection, and the client might never see
    // why it was closed.
    let farewell = async { while let Some(Ok(_)) = stream.next().await {} };
    let _ = timeout(CLOSE_PATIENCE, farewell).await;
}

/// A request costs a frame, so whoever may send many of them may send as many frames more.
fn frames_of(options: &Options) -> (Rate, Bucket) {
    let rate = Rate {
        burst: options.frames_burst.saturating_add(options.sends_burst),
        per_second: f64::from(options.frames_per_second) + f64::from(options.sends_per_second),
    };
    (rate, Bucket::new(rate, Instant::now()))
}

impl Session {
    /// `None`: the client has gone, or the writer has said why.
    async fn live(&mut self, stream: &mut SplitStream<WebSocket>) -> Option<Close> {
        self.say(&self.hello());
        let start = match timeout(START_TIMEOUT, self.wait_for_start(stream)).await {
            Ok(Ok(start)) => start,
            Ok(Err(close)) => return close,
            Err(_) => return Some(Close::StartTimeout),
        };
        if let Err(close) = self.begin(start).await {
            return Some(close);
        }
        self.ephemera = Ephemera::new(self.person.role);
        self.app.ephemeral.enter(&self.line);
        if self.app.stopping.is_cancelled() {
            self.drain();
        }
        let idle = sleep(IDLE_TIMEOUT);
        tokio::pin!(idle);
        loop {
            if self.draining.is_some() && self.in_flight == 0 {
                return Some(Close::Drain);
            }
            if let Err(close) = self.turn(stream, idle.as_mut()).await {
                return close;
            }
        }
    }

    /// Whatever comes next.
    async fn turn(
        &mut self,
        stream: &mut SplitStream<WebSocket>,
        mut idle: Pin<&mut Sleep>,
    ) -> Result<(), Option<Close>> {
        let drained = self.draining;
        tokio::select! {
            message = stream.next(), if drained.is_none() => {
                idle.as_mut().reset(Instant::now() + IDLE_TIMEOUT);
                if let Some(frame) = self.frame(message)? {
                    self.on_frame(frame)?;
                }
            }
            Some(answer) = self.answers.recv() => self.on_answer(answer),
            Some(note) = self.notes.recv() => self.on_note(note),
            () = next_replay(&mut self.replay) => self.replay = None,
            allowed = self.ephemera.allowed() => self.on_allowed(allowed),
            () = idle.as_mut(), if drained.is_none() => return Err(Some(Close::Idle)),
            () = until(drained) => return Err(Some(Close::Drain)),
        }
        self.start_replay();
        Ok(())
    }

    pub(super) fn say(&self, frame: &ServerFrame) {
        self.line.outbox.push(frame);
    }

    fn hello(&self) -> ServerFrame {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let view = self.app.cluster.view();
        ServerFrame::Hello {
            v: VERSION,
            cluster: view.cluster_id.clone(),
            epoch: view.client_epoch,
            gateway: self.app.options.name.clone(),
            heartbeat_ms: u32::try_from(HEARTBEAT.as_millis()).unwrap_or(u32::MAX),
            max_frame: count(FRAME_BYTES_MAX),
            max_message: count(MESSAGE_BYTES_MAX),
            max_inflight: count(IN_FLIGHT_MAX),
            head_slot: self.app.hub.position_or_zero(),
            trace_ppm: ops::traces::page_ppm(),
        }
    }

    async fn wait_for_start(
        &mut self,
        stream: &mut SplitStream<WebSocket>,
    ) -> Result<ClientFrame, Option<Close>> {
        let stopping = self.app.stopping.clone();
        loop {
            let message = tokio::select! {
                message = stream.next() => message,
                () = stopping.cancelled() => return Err(Some(Close::Drain)),
            };
            match self.frame(message)? {
                Some(start @ ClientFrame::Start { .. }) => return Ok(start),
                Some(ClientFrame::Ping { n }) => self.pong(n),
                Some(_) => return Err(Some(Close::BadRequest("bad_request: start comes first"))),
                None => {}
            }
        }
    }

    /// The frame in what the socket gave; `Ok(None)`: none, but the socket goes on.
    fn frame(
        &mut self,
        message: Option<Result<Message, axum::Error>>,
    ) -> Result<Option<ClientFrame>, Option<Close>> {
        let (rate, bucket) = &mut self.frames;
        // Before anything is made of it: to parse is the work that a flood wants done.
        if matches!(message, Some(Ok(_))) && bucket.take(*rate, Instant::now()).is_err() {
            METRICS.refused(Refused::Frames);
            return Err(Some(Close::TooManyFrames));
        }
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_))) => {
                return self.malformed(None, "a binary frame: text with JSON is needed".to_owned());
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(None),
            Some(Ok(Message::Close(_))) | None => return Err(None),
            Some(Err(error)) if error.to_string().contains("too long") => {
                return Err(Some(Close::BadRequest("bad_request: frame over 64 KiB")));
            }
            Some(Err(error)) => {
                tracing::debug!(user = %self.person.id, %error, "a socket ended");
                return Err(None);
            }
        };
        if text.len() > FRAME_BYTES_MAX {
            return Err(Some(Close::BadRequest("bad_request: frame over 64 KiB")));
        }
        match serde_json::from_str(&text) {
            Ok(frame) => Ok(Some(frame)),
            Err(error) => {
                let reference = serde_json::from_str::<WithCid>(&text).ok();
                let message = format!("not a frame of this protocol: {error}");
                self.malformed(reference.map(|with| with.cid), message)
            }
        }
    }

    fn malformed(
        &mut self,
        reference: Option<Cid>,
        message: String,
    ) -> Result<Option<ClientFrame>, Option<Close>> {
        self.malformed += 1;
        self.say(&Error::bad_request(message).frame(reference));
        if self.malformed >= MALFORMED_MAX {
            Err(Some(Close::TooManyErrors))
        } else {
            Ok(None)
        }
    }

    fn on_frame(&mut self, frame: ClientFrame) -> Result<(), Option<Close>> {
        match frame {
            ClientFrame::Ping { n } => self.pong(n),
            ClientFrame::Resume { rooms } => self.resume(&rooms),
            ClientFrame::Start { .. } => {
                self.malformed(None, "start: it was said already".to_owned())?;
            }
            frame @ (ClientFrame::Typing { .. }
            | ClientFrame::Away { .. }
            | ClientFrame::Watch { .. }) => {
                if let Err(error) = self.ephemeral(frame) {
                    self.say(&error.frame(None));
                }
            }
            request => match requests::of(request) {
                Some(Ok(request)) => {
                    let cid = request.cid;
                    if let Err(error) = self.request(request) {
                        self.say(&error.frame(Some(cid)));
                    }
                }
                Some(Err((cid, error))) => self.say(&error.frame(Some(cid))),
                None => {}
            },
        }
        Ok(())
    }

    fn pong(&self, n: u64) {
        self.say(&ServerFrame::Pong {
            n,
            head_slot: self.app.hub.position_or_zero(),
        });
    }

    fn request(&mut self, request: requests::Request) -> Result<(), Error> {
        if self.in_flight >= IN_FLIGHT_MAX {
            let message = format!("{IN_FLIGHT_MAX} requests wait for their answers already");
            return Err(Error::rate_limited(message, 100));
        }
        self.place.request()?;
        let author = self.person.id;
        self.app.router.submit(Submit {
            key: (author, request.cid),
            command: command(author, request.cid, request.body),
            progress: request.progress,
            answers: self.answer_to.clone(),
            trace: traces::submitted(request.traceparent.as_deref(), request.progress),
        })?;
        self.in_flight += 1;
        Ok(())
    }

    fn on_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Progress { cid, state, slot } => {
                self.say(&ServerFrame::State { cid, state, slot });
            }
            Answer::Final { cid, result } => {
                self.in_flight = self.in_flight.saturating_sub(1);
                self.say(&requests::answer(cid, result));
            }
        }
    }

    fn on_note(&mut self, note: Note) {
        match note {
            Note::Joined(useq, joined) if useq > self.useq => {
                self.useq = useq;
                let room = joined.id;
                self.rooms.insert(room);
                self.say(&uev(useq, |told| told.joined = Some(joined)));
                self.may_know_others(false);
                self.queue_replay(room, From::Nothing);
            }
            Note::Left(useq, room) if useq > self.useq => {
                self.useq = useq;
                self.rooms.remove(&room);
                self.forget_replay(room);
                self.may_know_others(false);
                self.app.hub.leave(&self.line, room);
                self.say(&uev(useq, |told| told.left = Some(room)));
            }
            Note::Profile(useq) if useq > self.useq => {
                self.useq = useq;
                self.may_know_others(true);
                self.say(&uev(useq, |told| told.profile = true));
            }
            Note::Read(useq, marker) if useq > self.useq => {
                self.useq = useq;
                self.say(&uev(useq, |told| told.read = Some(marker)));
            }
            Note::Wishes(useq, wishes) if useq > self.useq => {
                self.useq = useq;
                self.say(&uev(useq, |told| told.wishes = Some(wishes)));
            }
            // The client knows it from `ready`.
            Note::Joined(..)
            | Note::Left(..)
            | Note::Read(..)
            | Note::Wishes(..)
            | Note::Profile(..) => {}
            // Resumed before this was read.
            Note::Lags if !self.line.outbox.is_lagging() => {}
            Note::Lags => {
                self.replays.clear();
                self.replay = None;
                let head = |room: &RoomId| (*room, self.app.hub.head(*room).unwrap_or(Seq(0)));
                let rooms = RoomSeqs(self.rooms.iter().map(head).collect());
                self.say(&ServerFrame::Lag { rooms });
            }
            Note::Drain => self.drain(),
        }
    }

    fn drain(&mut self) {
        if self.draining.is_none() {
            let after_ms = rand::random_range(0..DRAIN_SPREAD_MS);
            self.say(&ServerFrame::Bye {
                reason: ByeReason::Drain,
                after_ms,
            });
            self.draining = Some(Instant::now() + DRAIN_PATIENCE);
        }
    }

    // --- Replays, one at a time ---

    pub(super) fn queue_replay(&mut self, room: RoomId, from: From) {
        self.forget_replay(room);
        if self.line.outbox.is_lagging() {
            // `resume` replays every room, this one too.
            return;
        }
        self.replays.push_back((room, from));
        self.start_replay();
    }

    fn forget_replay(&mut self, room: RoomId) {
        self.replays.retain(|(other, _)| *other != room);
        if self
            .replay
            .as_ref()
            .is_some_and(|(other, _)| *other == room)
        {
            self.replay = None;
        }
    }

    fn start_replay(&mut self) {
        if self.replay.is_none()
            && let Some((room, from)) = self.replays.pop_front()
        {
            let (app, line) = (Arc::clone(&self.app), Arc::clone(&self.line));
            self.replay = Some((room, Box::pin(replay(app, line, room, from))));
        }
    }
}

#[derive(serde::Deserialize)]
struct WithCid {
    cid: Cid,
}

async fn next_replay(replay: &mut Option<Replay>) {
    match replay {
        Some((_, replay)) => replay.await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// What an event of the own stream says.
#[derive(Default)]
struct Told {
    joined: Option<Joined>,
    left: Option<RoomId>,
    read: Option<ReadMarker>,
    wishes: Option<RoomWishes>,
    profile: bool,
}

fn uev(useq: Useq, tell: impl FnOnce(&mut Told)) -> ServerFrame {
    let mut told = Told::default();
    tell(&mut told);
    ServerFrame::Uev {
        useq,
        joined: told.joined,
        left: told.left,
        read: told.read,
        wishes: told.wishes,
        profile: told.profile,
    }
}
