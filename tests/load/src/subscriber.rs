//! Whoever receives: a socket that tells a board what arrives on it, of each kind of server.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _, stream};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use workload::wire::Account;

use crate::board::Board;
use crate::client::Person;
use crate::limits::{COMMIT_PATIENCE, OPENING_AT_ONCE, SOCKET_QUEUE_MAX};

/// The subject or topic of the fan-out.
pub const TOPIC: &str = "room";

/// A connection that stays open until this is dropped.
pub enum Subscriber {
    /// To our gateway.
    Person(Person),
    /// To another server: the task that reads it.
    Task(JoinHandle<Result<()>>),
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        if let Self::Task(task) = self {
            task.abort();
        }
    }
}

/// Where subscribers connect to.
#[derive(Clone, Debug)]
pub enum Server {
    /// Our gateway, as these accounts in turn, all in this room.
    Gateway {
        /// `http://host:port`.
        base: String,
        /// Who connects.
        accounts: Vec<Account>,
        /// What they read.
        room: u64,
    },
    /// nats-server's WebSocket on this port of loopback.
    Nats(u16),
    /// mosquitto on this port of loopback.
    Mosquitto(u16),
}

impl Server {
    /// Opens so many connections, some at a time.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub async fn open(&self, count: usize, board: &Arc<Board>) -> Result<Vec<Subscriber>> {
        let opened = stream::iter(0..count).map(|number| async move {
            let opening = self.open_one(number, Arc::clone(board));
            let opened = timeout(COMMIT_PATIENCE, opening).await;
            opened
                .context("nothing within 20 s")
                .flatten()
                .with_context(|| format!("connection {number} of {count}"))
        });
        opened.buffer_unordered(OPENING_AT_ONCE).try_collect().await
    }

    async fn open_one(&self, number: usize, board: Arc<Board>) -> Result<Subscriber> {
        match self {
            Self::Gateway {
                base,
                accounts,
                room,
            } => {
                let account = &accounts[number % accounts.len()];
                let person = Person::open(base, account, *room, Some(board)).await?;
                Ok(Subscriber::Person(person))
            }
            Self::Nats(port) => {
                let mut socket = NatsSocket::open(*port).await?;
                let task = tokio::spawn(async move { socket.read(&board).await });
                Ok(Subscriber::Task(task))
            }
            Self::Mosquitto(port) => {
                let (client, mut events) = subscribe(*port, number).await?;
                let task = tokio::spawn(async move {
                    // The event loop ends with an error when its last client is gone.
                    let _open = client;
                    loop {
                        let event = events.poll().await?;
                        if let Event::Incoming(Packet::Publish(publish)) = event {
                            board.receive(&publish.payload);
                        }
                    }
                });
                Ok(Subscriber::Task(task))
            }
        }
    }
}

/// A client of mosquitto without a subscription: it only publishes, once its events are polled.
#[must_use]
pub fn mqtt(port: u16, name: &str) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(name, "127.0.0.1", port);
    options.set_keep_alive(std::time::Duration::from_secs(60));
    AsyncClient::new(options, SOCKET_QUEUE_MAX)
}

async fn subscribe(port: u16, number: usize) -> Result<(AsyncClient, EventLoop)> {
    let (client, mut events) = mqtt(port, &format!("reader{number}"));
    client.subscribe(TOPIC, QoS::AtMostOnce).await?;
    loop {
        if let Event::Incoming(Packet::SubAck(_)) = events.poll().await? {
            return Ok((client, events));
        }
    }
}

/// The protocol of NATS inside a WebSocket, as far as a subscriber needs it: its clients for Rust
/// cost more per message than the server does, which would measure the generator.
struct NatsSocket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    bytes: Vec<u8>,
}

impl NatsSocket {
    async fn open(port: u16) -> Result<Self> {
        let request = format!("ws://127.0.0.1:{port}/").into_client_request()?;
        let (stream, _) = tokio_tungstenite::connect_async(request).await?;
        let mut socket = Self {
            stream,
            bytes: Vec::new(),
        };
        let hello = format!("CONNECT {{\"verbose\":false}}\r\nSUB {TOPIC} 1\r\nPING\r\n");
        socket
            .stream
            .send(Message::binary(hello.into_bytes()))
            .await?;
        while !socket.bytes.ends_with(b"PONG\r\n") {
            socket.more().await?;
        }
        socket.bytes.clear();
        Ok(socket)
    }

    async fn more(&mut self) -> Result<()> {
        match self.stream.next().await {
            Some(Ok(Message::Binary(bytes))) => self.bytes.extend_from_slice(&bytes),
            Some(Ok(Message::Close(reason))) => bail!("closed: {reason:?}"),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => bail!("the socket ended"),
        }
        Ok(())
    }

    async fn read(&mut self, board: &Board) -> Result<()> {
        loop {
            self.more().await?;
            let (mut used, mut pinged) = (0, false);
            while let Some(operation) = next_operation(&self.bytes[used..])? {
                match operation.payload {
                    Some(payload) => {
                        let from = used + payload.start;
                        board.receive(&self.bytes[from..used + payload.end]);
                    }
                    None => pinged |= self.bytes[used..].starts_with(b"PING"),
                }
                used += operation.length;
            }
            self.bytes.drain(..used);
            if pinged {
                self.stream.send(Message::binary(&b"PONG\r\n"[..])).await?;
            }
        }
    }
}

/// One line of the protocol, with what it carries.
#[derive(Debug, PartialEq, Eq)]
struct Operation {
    payload: Option<std::ops::Range<usize>>,
    length: usize,
}

/// The operation at the beginning, if all of it is there.
fn next_operation(bytes: &[u8]) -> Result<Option<Operation>> {
    let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
        return Ok(None);
    };
    let (line, head) = (&bytes[..end], end + 2);
    if !line.starts_with(b"MSG ") {
        ensure!(!line.starts_with(b"-ERR"), "{}", line.escape_ascii());
        return Ok(Some(Operation {
            payload: None,
            length: head,
        }));
    }
    let size = std::str::from_utf8(line)?.rsplit(' ').next();
    let size: usize = size.context("MSG has a size")?.parse()?;
    let operation = Operation {
        payload: Some(head..head + size),
        length: head + size + 2,
    };
    Ok((bytes.len() >= operation.length).then_some(operation))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages arrive in pieces and together.
    #[test]
    fn operations_of_nats_are_taken_apart() {
        let text = b"MSG room 1 5\r\nhello\r\nPING\r\nMSG room 1 2\r\nhi";
        let first = next_operation(text).unwrap().unwrap();
        assert_eq!(&text[first.payload.clone().unwrap()], b"hello");
        let ping = next_operation(&text[first.length..]).unwrap().unwrap();
        assert_eq!((ping.payload, ping.length), (None, 6));
        let rest = &text[first.length + 6..];
        assert_eq!(next_operation(rest).unwrap(), None);
        assert!(next_operation(b"-ERR 'no'\r\n").is_err());
    }
}
