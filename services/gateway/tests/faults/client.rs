//! A gateway in this process, and clients that keep the rules of docs/protocol.md and fail on
//! every hole, repetition and change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use gateway::config::Options;
use ops::shutdown::Token;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use uuid::Uuid;

use crate::double::World;

pub(crate) const SOON: Duration = Duration::from_secs(10);
pub(crate) const GENERAL: u64 = 1;

pub(crate) fn cid() -> String {
    Uuid::now_v7().to_string()
}

/// A running gateway.
pub(crate) struct Gateway {
    pub(crate) base: String,
    pub(crate) stop: Token,
    pub(crate) task: JoinHandle<Result<(), gateway::Error>>,
}

impl Gateway {
    pub(crate) async fn start(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = Token::new();
        let task = tokio::spawn(gateway::run(options, listener, stop.clone()));
        let gateway = Self { base, stop, task };
        let deadline = Instant::now() + SOON;
        while gateway.get("/health/ready", None).await.0 != 200 {
            assert!(
                Instant::now() < deadline,
                "{:?}",
                gateway.get("/health/ready", None).await
            );
            sleep(Duration::from_millis(10)).await;
        }
        gateway
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> (u16, Value) {
        let mut request = reqwest::Client::new().get(format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// Posts with an `Origin`; the status, the body, and the token that was set.
    pub(crate) async fn post(
        &self,
        path: &str,
        origin: &str,
        body: &Value,
    ) -> (u16, Value, String) {
        let request = reqwest::Client::new()
            .post(format!("{}{path}", self.base))
            .header("origin", origin)
            .header("content-type", "application/json")
            .body(body.to_string());
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let cookie = response.headers().get("set-cookie");
        let cookie = cookie
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default();
        let token = cookie.split(';').next().unwrap_or_default();
        let token = token
            .strip_prefix("chatterbox_session=")
            .unwrap_or_default()
            .to_owned();
        let body = response.bytes().await.unwrap();
        (
            status,
            serde_json::from_slice(&body).unwrap_or(Value::Null),
            token,
        )
    }

    /// Makes an account: its number and its token.
    pub(crate) async fn sign_up(&self, name: &str) -> (u64, String) {
        let body = json!({"cid": cid(), "name": name});
        let (status, body, token) = self.post("/api/v1/sign-up", &self.base, &body).await;
        assert_eq!(status, 201, "{body}");
        (body["user"]["id"].as_u64().unwrap(), token)
    }

    /// Makes an account and opens a socket that has said `start`.
    pub(crate) async fn person(&self, name: &str) -> Client {
        let (user, token) = self.sign_up(name).await;
        let mut client = Client::new(user, token);
        client.connect(self).await;
        client
    }
}

/// A cluster and a gateway.
pub(crate) async fn start() -> (Arc<World>, Gateway) {
    let world = World::start().await;
    let gateway = Gateway::start(world.options()).await;
    (world, gateway)
}

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A person with a session.
pub(crate) struct Client {
    pub(crate) user: u64,
    pub(crate) token: String,
    pub(crate) socket: Option<Socket>,
    /// The events of each room, by `seq`; always one window without a hole.
    pub(crate) events: BTreeMap<u64, BTreeMap<u64, Value>>,
    /// The highest slot seen.
    pub(crate) slot: u64,
}

impl Client {
    pub(crate) fn new(user: u64, token: String) -> Self {
        Self {
            user,
            token,
            socket: None,
            events: BTreeMap::new(),
            slot: 0,
        }
    }

    /// Opens a socket and says `start` with what was seen; returns the `ready`.
    pub(crate) async fn connect(&mut self, gateway: &Gateway) -> Value {
        let rooms: BTreeMap<String, u64> = self
            .events
            .keys()
            .map(|room| (room.to_string(), self.last(*room)))
            .collect();
        self.open(gateway).await;
        self.write(json!({"t": "start", "useq": 0, "min_slot": self.slot, "rooms": rooms}))
            .await;
        self.wait_for(|frame| frame["t"] == "ready").await
    }

    /// Opens a socket and says nothing.
    pub(crate) async fn open(&mut self, gateway: &Gateway) {
        self.socket = Some(dial(gateway, Some(&self.token)).await.unwrap());
    }

    pub(crate) fn last(&self, room: u64) -> u64 {
        self.events
            .get(&room)
            .and_then(|events| events.keys().next_back())
            .copied()
            .unwrap_or(0)
    }

    /// The bodies of a room in order.
    pub(crate) fn bodies(&self, room: u64) -> Vec<String> {
        let events = self
            .events
            .get(&room)
            .into_iter()
            .flat_map(BTreeMap::values);
        events
            .filter_map(|event| Some(event["body"].as_str()?.to_owned()))
            .collect()
    }

    pub(crate) async fn write(&mut self, frame: Value) {
        self.write_raw(Message::text(frame.to_string())).await;
    }

    pub(crate) async fn write_raw(&mut self, message: Message) {
        self.try_write_raw(message).await.unwrap();
    }

    /// For what makes the gateway close while it is still being written.
    pub(crate) async fn try_write_raw(&mut self, message: Message) -> Result<(), Error> {
        self.socket.as_mut().unwrap().send(message).await
    }

    pub(crate) async fn send(&mut self, room: u64, cid: &str, body: &str) {
        self.write(json!({"t": "send", "cid": cid, "room": room, "body": body}))
            .await;
    }

    /// The `ack`, `done` or `err` for a request.
    pub(crate) async fn answer(&mut self, cid: &str) -> Value {
        self.wait_for(|frame| match frame["t"].as_str() {
            Some("ack" | "done") => frame["cid"] == *cid,
            Some("err") => frame["ref"] == *cid,
            _ => false,
        })
        .await
    }

    /// Reads until the room has been seen up to `seq`.
    pub(crate) async fn read_to(&mut self, room: u64, seq: u64) {
        while self.last(room) < seq {
            self.wait_for(|frame| frame["t"] == "ev").await;
        }
    }

    pub(crate) async fn wait_for(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            match self.next().await {
                Ok(frame) if wanted(&frame) => return frame,
                Ok(_) => {}
                Err((code, reason)) => panic!("closed {code} {reason}"),
            }
        }
    }

    /// Reads until the socket is closed; with what.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Err(close) = self.next().await {
                return close;
            }
        }
    }

    /// The next frame, or how the socket was closed.
    pub(crate) async fn next(&mut self) -> Result<Value, (u16, String)> {
        loop {
            let socket = self.socket.as_mut().unwrap();
            match timeout(SOON, socket.next()).await.expect("a frame in time") {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    self.keep(&frame);
                    return Ok(frame);
                }
                Some(Ok(Message::Close(Some(close)))) => {
                    return Err((close.code.into(), close.reason.to_string()));
                }
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Err((0, String::new())),
                Some(Ok(_)) => {}
            }
        }
    }

    fn keep(&mut self, frame: &Value) {
        let number = |value: &Value| value.as_u64().unwrap();
        match frame["t"].as_str().unwrap() {
            "ev" => {
                let (room, seq) = (number(&frame["room"]), number(&frame["ev"]["seq"]));
                let last = self.last(room);
                assert_eq!(
                    seq,
                    last + 1,
                    "room {room}: a hole or a repetition after {last}"
                );
                self.events
                    .entry(room)
                    .or_default()
                    .insert(seq, frame["ev"].clone());
                self.slot = self.slot.max(number(&frame["ev"]["slot"]));
            }
            "gap" => {
                let (room, from, to) = (
                    number(&frame["room"]),
                    number(&frame["from"]),
                    number(&frame["to"]),
                );
                assert_eq!(
                    from,
                    self.last(room) + 1,
                    "a gap begins where the events end: {frame}"
                );
                // The window begins anew after the gap; the marker keeps the last number.
                self.events
                    .insert(room, BTreeMap::from([(to, Value::Null)]));
            }
            "live" => assert_eq!(
                number(&frame["head"]),
                self.last(number(&frame["room"])),
                "{frame}"
            ),
            "ack" => self.slot = self.slot.max(number(&frame["slot"])),
            _ => {}
        }
    }
}

/// Opens a socket.
pub(crate) async fn dial(
    gateway: &Gateway,
    token: Option<&str>,
) -> Result<Socket, tokio_tungstenite::tungstenite::Error> {
    let bearer = token.map(|token| ("authorization", format!("Bearer {token}")));
    let protocol = ("sec-websocket-protocol", "chatterbox.v1.json".to_owned());
    dial_with(
        gateway,
        &[Some(protocol), bearer]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>(),
    )
    .await
}

/// Opens a socket with these headers.
pub(crate) async fn dial_with(
    gateway: &Gateway,
    headers: &[(&'static str, String)],
) -> Result<Socket, tokio_tungstenite::tungstenite::Error> {
    let url = format!("{}/ws", gateway.base.replacen("http", "ws", 1));
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(*name, HeaderValue::from_str(value).unwrap());
    }
    Ok(tokio_tungstenite::connect_async(request).await?.0)
}
