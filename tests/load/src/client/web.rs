//! People with a socket each, as browsers have them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;
use workload::wire::{Account, Socket};

use crate::board::Board;
use crate::limits::{COMMIT_PATIENCE, PING_EVERY, RETRY, SOCKET_QUEUE_MAX};

type Waiting = Arc<Mutex<BTreeMap<Uuid, oneshot::Sender<bool>>>>;

/// An open socket and what reads it.
#[derive(Debug)]
pub struct Person {
    frames: mpsc::Sender<String>,
    waiting: Waiting,
    room: u64,
}

/// What an answer says of its request.
#[derive(Deserialize)]
struct Answer {
    cid: Option<Uuid>,
    #[serde(rename = "ref")]
    reference: Option<Uuid>,
    #[serde(default)]
    temporary: bool,
    #[serde(default)]
    message: String,
}

impl Person {
    /// Opens a socket of the account and waits until the room is live on it. What arrives of
    /// messages from then on is told to the board.
    ///
    /// # Errors
    /// When the gateway refuses or the room is not live in time.
    pub async fn open(
        base: &str,
        account: &Account,
        room: u64,
        board: Option<Arc<Board>>,
    ) -> Result<Self> {
        let mut socket = Socket::open(base, account).await?;
        let start = r#"{"t":"start","useq":0,"min_slot":0,"rooms":{}}"#;
        socket.write(Message::text(start)).await?;
        // Not `ready`: what is sent between that and `live` may be left out as a gap, and what was
        // sent before is replayed.
        let live = format!(r#"{{"t":"live","room":{room},"#);
        let heard = async {
            while !socket.next_shared().await?.starts_with(&live) {}
            anyhow::Ok(())
        };
        timeout(COMMIT_PATIENCE, heard)
            .await
            .context("the room was not live in time")??;
        let (frames, outgoing) = mpsc::channel(SOCKET_QUEUE_MAX);
        let waiting = Waiting::default();
        let told = Arc::clone(&waiting);
        tokio::spawn(async move {
            let ended = listen(socket, outgoing, &told, board).await;
            // Who waits learns it by the end of the channel.
            lock(&told).clear();
            ended
        });
        Ok(Self {
            frames,
            waiting,
            room,
        })
    }

    /// Sends a message until it is acknowledged.
    ///
    /// # Errors
    /// When the socket breaks.
    pub async fn send(&self, body: &str) -> Result<()> {
        let cid = Uuid::now_v7();
        // The text is ours and has nothing that JSON would escape.
        let room = self.room;
        let frame = format!(r#"{{"t":"send","cid":"{cid}","room":{room},"body":"{body}"}}"#);
        loop {
            let (answer, answered) = oneshot::channel();
            lock(&self.waiting).insert(cid, answer);
            let sent = self.frames.send(frame.clone()).await;
            sent.ok().context("the socket is closed")?;
            if answered.await.context("the socket is closed")? {
                return Ok(());
            }
            sleep(RETRY).await;
        }
    }
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, BTreeMap<Uuid, oneshot::Sender<bool>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The life of a socket: ends when the person is dropped, or with an error.
async fn listen(
    mut socket: Socket,
    mut outgoing: mpsc::Receiver<String>,
    waiting: &Waiting,
    board: Option<Arc<Board>>,
) -> Result<()> {
    let mut beat = interval(PING_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            text = socket.next_shared() => hear(&text?, waiting, board.as_deref())?,
            frame = outgoing.recv() => match frame {
                Some(frame) => socket.write(Message::text(frame)).await?,
                None => return Ok(()),
            },
            _ = beat.tick() => socket.write(Message::text(r#"{"t":"ping","n":1}"#)).await?,
        }
    }
}

fn hear(text: &str, waiting: &Waiting, board: Option<&Board>) -> Result<()> {
    if text.starts_with(r#"{"t":"ev""#) {
        if let Some(board) = board {
            board.receive(text.as_bytes());
        }
        return Ok(());
    }
    if text.starts_with(r#"{"t":"lag""#) {
        bail!("the gateway called this socket too slow");
    }
    let acknowledged = text.starts_with(r#"{"t":"ack""#);
    if acknowledged || text.starts_with(r#"{"t":"err""#) {
        let answer: Answer = serde_json::from_str(text)?;
        ensure!(acknowledged || answer.temporary, "{}", answer.message);
        let cid = answer.cid.or(answer.reference).context("whose answer")?;
        if let Some(waits) = lock(waiting).remove(&cid) {
            // Nobody waits any more when a measurement has ended.
            let _ = waits.send(acknowledged);
        }
    }
    Ok(())
}

/// People who write, each into a room with some of the others.
#[derive(Debug)]
pub struct Web {
    /// The open sockets.
    pub people: Vec<Person>,
    /// Where arrivals are noted.
    pub board: Arc<Board>,
    /// How many people are in each room.
    pub per_room: u32,
}

impl Web {
    /// Commits one message.
    ///
    /// # Errors
    /// See [`Person::send`].
    pub async fn commit(&self, lane: usize, bytes: usize) -> Result<()> {
        let number = self.board.send(self.per_room);
        let body = crate::board::body(number, bytes);
        self.people[lane % self.people.len()].send(&body).await
    }
}
