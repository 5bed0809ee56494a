//! One person: writes, reads, wanders between gateways and rooms, and writes down everything.
//!
//! One task. Nothing in it waits for a gateway but the opening of a connection and a write, both
//! with a limit: pages of history are read by a task of their own, so that the times in the
//! history are those at which things came.

mod asking;
mod hearing;
mod reading;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use checker::{Clock, Event, Marker, Range, Recorder, digest};
use gateway::frames::{ClientFrame, RoomSeqs, ServerFrame};
use gateway::ids::{Cid, RoomId, Seq, Slot, Useq};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

use crate::figures::Counter;
use crate::limits::{
    ANSWER_PATIENCE, CONNECT_TIMEOUT, DEBT_MAX, DID_PATIENCE, PING_INTERVAL, RECONNECT_MS,
    SILENCE_MAX,
};
use crate::options::Options;
use crate::outbox::Outbox;
use crate::reads::Page;
use crate::setup::text;
use crate::wire::{Account, Socket};
use asking::Asking;

/// What all people of a run share.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) options: Arc<Options>,
    pub(crate) rooms: Arc<Vec<u64>>,
    pub(crate) counter: Arc<Counter>,
    pub(crate) http: reqwest::Client,
    pub(crate) clock: Clock,
    /// Until when people may still wait for answers; none while the load is on.
    pub(crate) stop: watch::Receiver<Option<Instant>>,
}

type Seqs = BTreeMap<u64, u64>;

/// A page on its way, and the number of its question.
type Reading = (u64, JoinHandle<Result<Page>>);

/// A person at work.
#[derive(Debug)]
pub(crate) struct Person {
    world: World,
    number: usize,
    account: Account,
    recorder: Recorder,
    random: StdRng,
    /// Where it writes.
    homes: Vec<u64>,
    gateway: usize,
    connection: Option<Connection>,
    /// The last `seq` of each room that it has.
    last: BTreeMap<u64, u64>,
    /// The highest slot that it has seen.
    min_slot: u64,
    joined: BTreeSet<u64>,
    outbox: Outbox,
    asking: Asking,
    quorum: Option<bool>,
    /// A join or leave without an answer, and until when it is waited for.
    asked: Option<(Uuid, Instant)>,
    to_read: VecDeque<(u64, Range)>,
    reading: Option<Reading>,
    questions: u64,
    written: u64,
    next_write: Instant,
    next_read: Instant,
    next_visit: Instant,
    next_move: Instant,
}

#[derive(Debug)]
struct Connection {
    socket: Socket,
    /// Rooms whose replay is complete.
    live: BTreeSet<u64>,
    heard: Instant,
    next_ping: Instant,
}

/// What a person knows at the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone {
    /// The highest slot that it has seen.
    pub(crate) min_slot: u64,
    /// Messages and changes that were sent and have no answer.
    pub(crate) unknown: usize,
}

impl Person {
    pub(crate) fn new(
        world: World,
        number: usize,
        account: Account,
        recorder: Recorder,
        homes: Vec<u64>,
    ) -> Self {
        let now = Instant::now();
        let seed = world.options.seed.wrapping_mul(1_000_003);
        let mut person = Self {
            number,
            account,
            recorder,
            random: StdRng::seed_from_u64(seed.wrapping_add(number as u64)),
            homes,
            gateway: number % world.options.gateways.len(),
            connection: None,
            last: BTreeMap::new(),
            min_slot: 0,
            joined: BTreeSet::new(),
            outbox: Outbox::default(),
            asking: Asking::default(),
            quorum: None,
            asked: None,
            to_read: VecDeque::new(),
            reading: None,
            questions: 0,
            written: 0,
            next_write: now,
            next_read: now,
            next_visit: now,
            next_move: now,
            world,
        };
        let options = Arc::clone(&person.world.options);
        person.next_write = now + person.about(options.pace());
        person.next_read = now + person.about(options.read_every);
        person.next_visit = now + person.about(options.visit_every);
        person.next_move = now + person.about(options.reconnect_every);
        person
    }

    /// Half to one and a half times as long.
    fn about(&mut self, time: Duration) -> Duration {
        time.mul_f64(self.random.random_range(0.5..1.5))
    }

    /// Chats until told to stop and every message sent has an answer, or the time is over.
    ///
    /// # Errors
    /// When the history cannot be written: the run is void.
    pub(crate) async fn run(mut self) -> Result<Gone> {
        loop {
            let stop = *self.world.stop.borrow();
            if let Some(until) = stop {
                self.outbox.forget_unsent();
                self.asking.forget_unsent();
                let waits = self.outbox.len() > 0 || !self.asking.is_empty();
                if (!waits && self.reading.is_none()) || Instant::now() >= until {
                    break;
                }
            }
            if self.connection.is_none() {
                self.connect().await?;
            }
            self.act(stop.is_some()).await?;
            self.wait().await?;
        }
        self.disconnect("the end")?;
        self.recorder.flush()?;
        Ok(Gone {
            min_slot: self.min_slot,
            unknown: self.outbox.len() + self.asking.len(),
        })
    }

    /// Waits for a frame, a page, or the next thing to do.
    async fn wait(&mut self) -> Result<()> {
        let wake = self.wake();
        let mut stop = self.world.stop.clone();
        let stopping = stop.borrow().is_some();
        let heard = {
            let socket = async {
                match &mut self.connection {
                    Some(connection) => connection.socket.next().await,
                    None => std::future::pending().await,
                }
            };
            let page = async {
                match &mut self.reading {
                    Some((question, task)) => (*question, task.await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                frame = socket => Some(Heard::Frame(frame)),
                (question, page) = page => Some(Heard::Page(question, page.map_err(Into::into).flatten())),
                _ = stop.changed(), if !stopping => None,
                () = sleep_until(wake) => None,
            }
        };
        match heard {
            None => Ok(()),
            Some(Heard::Page(question, page)) => {
                self.reading = None;
                self.take_page(question, page)
            }
            Some(Heard::Frame(Ok(text))) => {
                // What no gateway may say ends the run: nothing after it could be judged.
                let frame: ServerFrame = serde_json::from_str(&text)
                    .with_context(|| format!("a gateway said {text}"))?;
                self.hear(frame).await
            }
            Some(Heard::Frame(Err(error))) => self.disconnect(&format!("{error:#}")),
        }
    }

    fn wake(&mut self) -> Instant {
        let mut wake = Instant::now() + PING_INTERVAL;
        if self.world.stop.borrow().is_none() {
            wake = wake.min(self.next_write).min(self.next_move);
        }
        for (_, front) in self.outbox.fronts() {
            let due = front
                .in_flight
                .map_or(front.not_before, |since| since + ANSWER_PATIENCE);
            wake = wake.min(due);
        }
        wake = wake.min(self.asking.due().unwrap_or(wake));
        match &self.connection {
            Some(connection) => wake
                .min(connection.next_ping)
                .min(connection.heard + SILENCE_MAX),
            // Another attempt is due already.
            None => wake.min(Instant::now() + Duration::from_millis(RECONNECT_MS.start)),
        }
    }

    /// Does whatever is due.
    async fn act(&mut self, stopping: bool) -> Result<()> {
        let now = Instant::now();
        if !stopping {
            self.write_messages(now);
            if now >= self.next_move {
                let every = self.world.options.reconnect_every;
                self.next_move = now + self.about(every);
                self.disconnect("another gateway")?;
            }
            if now >= self.next_read {
                let every = self.world.options.read_every;
                self.next_read = now + self.about(every);
                self.wish_to_read();
            }
            self.begin_reading()?;
        }
        let Some(connection) = &self.connection else {
            return Ok(());
        };
        if now >= connection.heard + SILENCE_MAX {
            return self.disconnect("silence");
        }
        let overdue = |since: Instant| now >= since + ANSWER_PATIENCE;
        let mut fronts = self.outbox.fronts();
        let late = fronts.any(|(_, front)| front.in_flight.is_some_and(overdue));
        drop(fronts);
        if late || self.asking.in_flight().any(overdue) {
            return self.disconnect("no answer");
        }
        self.speak(now, stopping).await
    }

    async fn speak(&mut self, now: Instant, stopping: bool) -> Result<()> {
        self.send_messages(now).await?;
        self.ask(now).await?;
        if !stopping && now >= self.next_visit {
            let every = self.world.options.visit_every;
            self.next_visit = now + self.about(every);
            self.visit(now).await?;
        }
        if let Some(connection) = &mut self.connection
            && now >= connection.next_ping
        {
            connection.next_ping = now + PING_INTERVAL;
            self.say(&ClientFrame::Ping { n: 1 }).await?;
        }
        Ok(())
    }

    /// Writes a frame; a connection that does not take it is left.
    async fn say(&mut self, frame: &ClientFrame) -> Result<()> {
        let message = text(frame)?;
        if let Some(connection) = &mut self.connection
            && let Err(error) = connection.socket.write(message).await
        {
            self.disconnect(&format!("{error:#}"))?;
        }
        Ok(())
    }

    fn write_messages(&mut self, now: Instant) {
        let pace = self.world.options.pace();
        let earliest = now.checked_sub(DEBT_MAX).unwrap_or(now);
        self.next_write = self.next_write.max(earliest);
        while self.next_write <= now {
            let pause = self.about(pace);
            self.next_write += pause;
            if self.wish_instead() {
                continue;
            }
            let stray = self.world.options.stray_one_in;
            let stray = stray > 0 && self.random.random_range(0..stray) == 0;
            let among = if stray {
                &self.world.rooms[..]
            } else {
                &self.homes
            };
            let room = among[self.random.random_range(0..among.len())];
            self.written += 1;
            // Unique, so that a doubled message is seen even if all its numbers are new.
            let mut body = format!(
                "{}:{}:{}",
                self.number, self.written, self.world.options.seed
            );
            let missing = self.world.options.body_bytes.saturating_sub(body.len());
            body.extend(std::iter::repeat_n('.', missing));
            self.outbox.push(room, body);
        }
    }

    /// Sends the first of each room that is not on its way.
    async fn send_messages(&mut self, now: Instant) -> Result<()> {
        let mut frames = Vec::new();
        for (room, front) in self.outbox.fronts() {
            if front.in_flight.is_some() || front.not_before > now {
                continue;
            }
            front.in_flight = Some(now);
            let cid = front.cid;
            if !front.sent {
                let body = digest(&front.body);
                self.recorder.record(Event::Sent { cid, room, body })?;
                front.sent = true;
                self.world.counter.sent();
            } else {
                self.recorder.record(Event::Resent { cid })?;
            }
            frames.push(ClientFrame::Send {
                cid: Cid(cid),
                room: RoomId(room),
                body: front.body.clone(),
                reply_to: None,
                traceparent: None,
            });
        }
        for frame in &frames {
            self.say(frame).await?;
        }
        Ok(())
    }

    /// Leaves the room that it visits, or visits one.
    async fn visit(&mut self, now: Instant) -> Result<()> {
        if self.asked.is_some_and(|(_, until)| now < until) {
            return Ok(());
        }
        let cid = Uuid::now_v7();
        let visited = self
            .world
            .rooms
            .iter()
            .find(|room| self.joined.contains(room) && !self.homes.contains(room));
        let frame = if let Some(room) = visited.copied() {
            let (cid, room) = (Cid(cid), RoomId(room));
            ClientFrame::Leave { cid, room }
        } else {
            let index = self.random.random_range(0..self.world.rooms.len());
            let room = self.world.rooms[index];
            if self.homes.contains(&room) {
                return Ok(());
            }
            let (cid, room) = (Cid(cid), RoomId(room));
            ClientFrame::Join { cid, room }
        };
        self.asked = Some((cid, now + DID_PATIENCE));
        self.say(&frame).await
    }

    /// Opens a connection to the next gateway; when that fails, the one after it is due soon.
    async fn connect(&mut self) -> Result<()> {
        let gateways = self.world.options.gateways.len();
        self.gateway = if gateways > 1 {
            (self.gateway + self.random.random_range(1..gateways)) % gateways
        } else {
            0
        };
        let resume = self.last.clone();
        let attempt = timeout(CONNECT_TIMEOUT, self.open(&resume)).await;
        let Ok(Ok((connection, rooms, markers))) = attempt else {
            let pause = Duration::from_millis(self.random.random_range(RECONNECT_MS));
            let until = Instant::now() + pause;
            sleep_until(until).await;
            return Ok(());
        };
        self.joined = rooms.keys().copied().collect();
        self.last.retain(|room, _| rooms.contains_key(room));
        self.connection = Some(connection);
        self.world.counter.connected();
        self.recorder.record(Event::Connected {
            gateway: self.world.options.gateways[self.gateway].clone(),
            resume,
            heads: rooms,
            markers,
        })?;
        Ok(())
    }

    /// A connection that is ready, the rooms with their heads, and how far they are read.
    async fn open(&self, resume: &Seqs) -> Result<(Connection, Seqs, BTreeMap<u64, Marker>)> {
        let gateway = &self.world.options.gateways[self.gateway];
        let mut socket = Socket::open(gateway, &self.account).await?;
        let start = ClientFrame::Start {
            useq: Useq(0),
            min_slot: Slot(self.min_slot),
            rooms: seqs(resume),
            focus: None,
        };
        socket.write(text(&start)?).await?;
        loop {
            if let ServerFrame::Ready { rooms, .. } = serde_json::from_str(&socket.next().await?)? {
                let heads = rooms.iter().map(|room| (room.id.0, room.head.0)).collect();
                let markers = rooms.iter().map(|room| {
                    let marker = Marker {
                        read: room.read.0,
                        unread: u64::from(room.unread),
                        more: room.unread_more,
                    };
                    (room.id.0, marker)
                });
                let markers = markers.collect();
                let now = Instant::now();
                let connection = Connection {
                    socket,
                    live: BTreeSet::new(),
                    heard: now,
                    next_ping: now + PING_INTERVAL,
                };
                return Ok((connection, heads, markers));
            }
        }
    }

    fn disconnect(&mut self, why: &str) -> Result<()> {
        if self.connection.take().is_some() {
            let why = why.to_owned();
            self.recorder.record(Event::Disconnected { why })?;
        }
        self.outbox.disconnected();
        self.asking.disconnected();
        self.quorum = None;
        Ok(())
    }
}

enum Heard {
    Frame(Result<String>),
    Page(u64, Result<Page>),
}

fn seqs(rooms: &BTreeMap<u64, u64>) -> RoomSeqs {
    let seqs = rooms.iter().map(|(room, seq)| (RoomId(*room), Seq(*seq)));
    RoomSeqs(seqs.collect())
}
