//! A chat client that keeps the rules of docs/protocol.md: one `cid` per message until its
//! `ack`, retried for ever, and a history without holes.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;
use workload::wire::{Account, Socket};

/// The first room of every cluster.
pub const GENERAL: u64 = 1;

/// What a gateway said to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Committed on a quorum and applied.
    Ack {
        /// Its number in the room.
        seq: u64,
        /// Where it stands in the log.
        slot: u64,
        /// Whether it had been committed before.
        dup: bool,
    },
    /// Not, or not known to be.
    Err {
        /// The word.
        code: String,
        /// Whether the same request may succeed later.
        temporary: bool,
    },
}

/// A person with a session, and perhaps an open socket.
#[derive(Debug)]
pub struct Client {
    base: String,
    account: Account,
    /// The account.
    pub user: u64,
    socket: Option<Socket>,
    /// All events seen, by room and `seq`.
    pub events: BTreeMap<u64, BTreeMap<u64, Value>>,
    /// The newest `cluster` frame.
    pub cluster: Value,
    /// The `hello` of the newest connection.
    pub hello: Value,
}

impl Client {
    /// Makes an account at the gateway `base` (`http://host:port`), retrying while the cluster
    /// cannot commit.
    ///
    /// # Errors
    /// When the name is refused, or nothing was committed for 20 s.
    pub async fn sign_up(base: &str, name: &str) -> Result<Self> {
        let bases = [base.to_owned()];
        let account = Account::sign_up(&bases, name, Duration::from_secs(20)).await?;
        Ok(Self::with(base, account))
    }

    /// A person at the gateway `base` who has a session.
    pub fn with(base: &str, account: Account) -> Self {
        Self {
            base: base.to_owned(),
            user: account.user,
            account,
            socket: None,
            events: BTreeMap::new(),
            cluster: Value::Null,
            hello: Value::Null,
        }
    }

    /// Uses another gateway from the next connection on.
    pub fn move_to(&mut self, base: &str) {
        base.clone_into(&mut self.base);
        self.socket = None;
    }

    /// Opens a socket and resumes from what was seen.
    ///
    /// # Errors
    /// When no gateway answers, or it does not keep the protocol.
    pub async fn connect(&mut self) -> Result<()> {
        let mut socket = Socket::open(&self.base, &self.account).await?;
        let rooms: BTreeMap<String, u64> = self
            .events
            .iter()
            .filter_map(|(room, events)| Some((room.to_string(), *events.keys().next_back()?)))
            .collect();
        let start = json!({"t": "start", "useq": 0, "min_slot": 0, "rooms": rooms});
        socket.write(Message::text(start.to_string())).await?;
        self.socket = Some(socket);
        self.wait_for(Duration::from_secs(10), |frame| frame["t"] == "ready")
            .await?;
        Ok(())
    }

    /// Sends a message once and waits for its answer.
    ///
    /// # Errors
    /// When the socket breaks or nothing is said within the time.
    pub async fn send(
        &mut self,
        room: u64,
        cid: Uuid,
        body: &str,
        within: Duration,
    ) -> Result<Reply> {
        let frame = json!({"t": "send", "cid": cid, "room": room, "body": body});
        self.request(frame, cid, within).await
    }

    /// Sends a message with the same `cid`, over new sockets if need be, until it is
    /// acknowledged.
    ///
    /// # Errors
    /// When it is refused for good, or not acknowledged within the time.
    pub async fn send_until_acked(
        &mut self,
        room: u64,
        body: &str,
        within: Duration,
    ) -> Result<Reply> {
        let (cid, deadline) = (Uuid::now_v7(), Instant::now() + within);
        loop {
            match self.try_send(room, cid, body).await {
                Ok(reply @ Reply::Ack { .. }) => return Ok(reply),
                Ok(Reply::Err {
                    code,
                    temporary: false,
                }) => bail!("{body:?} refused: {code}"),
                Ok(Reply::Err { .. }) => sleep(Duration::from_millis(20)).await,
                Err(_) => {
                    self.socket = None;
                    sleep(Duration::from_millis(20)).await;
                }
            }
            ensure!(
                Instant::now() < deadline,
                "{body:?} was not acknowledged in {within:?}"
            );
        }
    }

    async fn try_send(&mut self, room: u64, cid: Uuid, body: &str) -> Result<Reply> {
        if self.socket.is_none() {
            self.connect().await?;
        }
        self.send(room, cid, body, Duration::from_secs(8)).await
    }

    /// Creates a room and returns its id.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn create_room(&mut self, name: &str) -> Result<u64> {
        let done = self.change(json!({"t": "create", "name": name})).await?;
        done["room"]
            .as_u64()
            .with_context(|| format!("create {name}: {done}"))
    }

    /// Joins a room.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn join(&mut self, room: u64) -> Result<()> {
        self.change(json!({"t": "join", "room": room})).await?;
        Ok(())
    }

    /// Writes a frame that changes something, under a new `cid`, and returns its `done`.
    ///
    /// # Errors
    /// When it is refused for good, the socket breaks or nothing is said for 10 s.
    pub async fn change(&mut self, mut frame: Value) -> Result<Value> {
        let cid = Uuid::now_v7();
        frame["cid"] = json!(cid);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            self.write(&frame).await?;
            let done = self.answer(cid, Duration::from_secs(10)).await?;
            // What is temporary is asked again under its `cid`, when the gateway says.
            let again = done["temporary"] == true && Instant::now() < deadline;
            if !again {
                ensure!(done["t"] == "done", "{frame}: {done}");
                return Ok(done);
            }
            sleep(Duration::from_millis(
                done["retry_ms"].as_u64().unwrap_or(50),
            ))
            .await;
        }
    }

    /// Writes a frame of any kind and returns the next answer to `cid`.
    ///
    /// # Errors
    /// When the socket breaks or nothing is said within the time.
    pub async fn request(&mut self, frame: Value, cid: Uuid, within: Duration) -> Result<Reply> {
        self.write(&frame).await?;
        let answer = self.answer(cid, within).await?;
        let number = |key: &str| {
            answer[key]
                .as_u64()
                .with_context(|| format!("{key}: {answer}"))
        };
        Ok(if answer["t"] == "err" {
            Reply::Err {
                code: answer["code"].as_str().unwrap_or_default().to_owned(),
                temporary: answer["temporary"] == true,
            }
        } else {
            Reply::Ack {
                seq: number("seq")?,
                slot: number("slot")?,
                dup: answer["dup"] == true,
            }
        })
    }

    async fn answer(&mut self, cid: Uuid, within: Duration) -> Result<Value> {
        let cid = cid.to_string();
        self.wait_for(within, |frame| match frame["t"].as_str() {
            Some("ack" | "done") => frame["cid"] == *cid,
            Some("err") => frame["ref"] == *cid,
            _ => false,
        })
        .await
    }

    /// Reads until the room has been seen up to `seq`.
    ///
    /// # Errors
    /// When it has not within the time.
    pub async fn read_to(&mut self, room: u64, seq: u64, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        while self.head(room) < seq {
            let left = deadline.saturating_duration_since(Instant::now());
            if self.socket.is_none() {
                self.connect().await?;
            }
            self.wait_for(left, |frame| frame["t"] == "ev")
                .await
                .with_context(|| format!("room {room} is at {}, not {seq}", self.head(room)))?;
        }
        Ok(())
    }

    /// The highest `seq` seen of a room.
    pub fn head(&self, room: u64) -> u64 {
        self.events
            .get(&room)
            .and_then(|events| events.keys().next_back())
            .copied()
            .unwrap_or(0)
    }

    /// The bodies of all messages seen in a room, in order.
    pub fn bodies(&self, room: u64) -> Vec<String> {
        let events = self
            .events
            .get(&room)
            .into_iter()
            .flat_map(BTreeMap::values);
        events
            .filter_map(|event| Some(event["body"].as_str()?.to_owned()))
            .collect()
    }

    /// Waits for a frame; what passes by meanwhile is kept.
    ///
    /// # Errors
    /// When the socket breaks, an event leaves a hole, or the time is over.
    pub async fn wait_for(
        &mut self,
        within: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let deadline = Instant::now() + within;
        loop {
            let socket = self.socket.as_mut().context("not connected")?;
            let text = timeout_at(deadline, socket.next())
                .await
                .with_context(|| format!("nothing that was wanted came within {within:?}"))??;
            let frame = serde_json::from_str::<Value>(&text)?;
            self.keep(&frame)?;
            if wanted(&frame) {
                return Ok(frame);
            }
        }
    }

    fn keep(&mut self, frame: &Value) -> Result<()> {
        match frame["t"].as_str() {
            Some("ev") => self.keep_event(frame),
            Some("hello") => {
                self.hello = frame.clone();
                Ok(())
            }
            Some("cluster") => {
                self.cluster = frame.clone();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// C1 and C3: whatever a client shows of a room is one contiguous window of its sequence.
    fn keep_event(&mut self, frame: &Value) -> Result<()> {
        let room = frame["room"]
            .as_u64()
            .with_context(|| format!("room in {frame}"))?;
        let seq = frame["ev"]["seq"]
            .as_u64()
            .with_context(|| format!("seq in {frame}"))?;
        let events = self.events.entry(room).or_default();
        if let Some(last) = events.keys().next_back().copied() {
            ensure!(
                seq <= last + 1,
                "room {room}: {seq} came after {last}, the gateway left a hole"
            );
        }
        if let Some(before) = events.insert(seq, frame["ev"].clone()) {
            ensure!(
                before == frame["ev"],
                "room {room} seq {seq} changed: {before} to {frame}"
            );
        }
        Ok(())
    }

    /// Writes a frame.
    ///
    /// # Errors
    /// When the socket is not open.
    pub async fn write(&mut self, frame: &Value) -> Result<()> {
        self.write_raw(Message::text(frame.to_string())).await
    }

    /// Writes raw bytes as a text or binary frame, for tests of bad input.
    ///
    /// # Errors
    /// When the socket is not open.
    pub async fn write_raw(&mut self, message: Message) -> Result<()> {
        self.socket
            .as_mut()
            .context("not connected")?
            .write(message)
            .await
    }

    /// Reads a path of the HTTP interface as this person.
    ///
    /// # Errors
    /// When the answer is not 200 with JSON.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let url = format!("{}{path}", self.base);
        let body = self.account.get(&reqwest::Client::new(), &url).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Every event of a room from the first on, by HTTP pages; asserts that nothing is missing.
    ///
    /// # Errors
    /// When a page cannot be read or leaves a hole.
    pub async fn whole_history(&self, room: u64) -> Result<Vec<Value>> {
        let mut events: Vec<Value> = Vec::new();
        loop {
            let path = format!(
                "/api/v1/rooms/{room}/events?after={}&limit=200",
                events.len()
            );
            let page = self.get(&path).await?;
            let new = page["events"].as_array().context("events")?.clone();
            if new.is_empty() {
                ensure!(page["head"] == events.len(), "the head is {}", page["head"]);
                return Ok(events);
            }
            for event in new {
                ensure!(
                    event["seq"] == events.len() + 1,
                    "{event} after {}",
                    events.len()
                );
                events.push(event);
            }
        }
    }
}
