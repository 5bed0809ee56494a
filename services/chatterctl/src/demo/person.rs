//! One account of the demo: signed up or in, and asking over a socket until it is answered.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::SET_COOKIE;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;

use super::seed::Seed;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// For a request over HTTP: a password in a debug build takes a second.
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);
/// The gateway answers within 5 s also without a quorum.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the same is asked again: an election and a restarted gateway fit.
const ATTEMPTS_MAX: u32 = 20;
/// Before it is asked again, when nobody says how long to wait.
const PAUSE: Duration = Duration::from_millis(500);

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) room: u64,
    /// Of a message.
    pub(super) seq: Option<u64>,
    /// It had been asked for before.
    pub(super) dup: bool,
}

/// The gateway said no, for ever.
#[derive(Debug)]
struct Refused {
    code: String,
    message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Refused {}

/// Whether it is a refusal of this kind.
pub(super) fn is_refused(error: &anyhow::Error, code: &str) -> bool {
    let refused = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Refused>());
    refused.is_some_and(|refused| refused.code == code)
}

/// Whether anybody has an account there.
pub(super) async fn has_accounts(url: &str) -> anyhow::Result<bool> {
    let settings = get(url, "/api/v1/settings", None).await?;
    Ok(settings["has_accounts"].as_bool().unwrap_or(true))
}

async fn get(url: &str, path: &str, token: Option<&str>) -> anyhow::Result<Value> {
    let mut request = reqwest::Client::new().get(format!("{url}{path}"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.timeout(HTTP_TIMEOUT).send().await;
    let answer =
        answer.with_context(|| format!("{url} does not answer; is a cluster up there?"))?;
    read(answer).await
}

/// The body, or what the gateway said against it.
async fn read(answer: reqwest::Response) -> anyhow::Result<Value> {
    let is_success = answer.status().is_success();
    let body: Value = answer.json().await.context("read the gateway's answer")?;
    if is_success {
        return Ok(body);
    }
    let text = |key: &str| {
        body["error"][key]
            .as_str()
            .unwrap_or("no reason")
            .to_owned()
    };
    Err(anyhow!(Refused {
        code: text("code"),
        message: text("message"),
    }))
}

/// One account with its connection.
pub(super) struct Person {
    url: String,
    token: String,
    socket: Option<Socket>,
}

impl Person {
    /// Signs up, or in when that had been done before.
    pub(super) async fn enter(
        url: &str,
        name: &str,
        seed: &Seed,
        invitation: Option<&str>,
    ) -> anyhow::Result<Self> {
        let (secret, password) = (seed.sign_up_secret(name), seed.password());
        let mut wish = json!({"cid": seed.cid(&format!("sign up {name}")), "name": name,
            "secret": secret, "password": password});
        if let Some(invitation) = invitation {
            wish["invitation"] = json!(invitation);
        }
        let token = match post(url, "/api/v1/sign-up", &wish).await {
            Ok(token) => token,
            Err(error) if is_refused(&error, "name_taken") => bail!(
                "somebody is called `{name}` there who is not of this demo, or it was run on \
                 another machine: it needs a cluster of its own (chatterctl purge makes one)"
            ),
            Err(error) if is_refused(&error, "sign_up_closed") => bail!(
                "nobody can make an account there without an invitation: \
                 chatterctl demo --invitation SECRET, with {} uses",
                super::PEOPLE.len()
            ),
            Err(error) => return Err(error.context(format!("sign up {name}"))),
        };
        let token = match get(url, "/api/v1/me", Some(&token)).await {
            Ok(_) => token,
            // The session of the first time has ended.
            Err(error) if is_refused(&error, "unauthenticated") => {
                let wish = json!({"cid": Uuid::now_v7(), "name": name, "password": password});
                post(url, "/api/v1/sign-in", &wish)
                    .await
                    .with_context(|| format!("sign in as {name}, whose password was changed"))?
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            url: url.to_owned(),
            token,
            socket: None,
        })
    }

    /// The number of a public room.
    pub(super) async fn room(&self, name: &str) -> anyhow::Result<u64> {
        let answer = get(&self.url, "/api/v1/rooms", Some(&self.token)).await?;
        let rooms = answer["rooms"].as_array();
        let room = rooms.and_then(|rooms| rooms.iter().find(|room| room["name"] == name));
        let id = room.and_then(|room| room["id"].as_u64());
        id.with_context(|| format!("there is a room {name} that the demo's people may not see"))
    }

    /// Asks until there is an answer: the same id takes effect once, however often it comes.
    pub(super) async fn ask(&mut self, cid: Uuid, frame: Value) -> anyhow::Result<Answer> {
        let mut last = anyhow!("nobody was asked");
        for _ in 0..ATTEMPTS_MAX {
            match timeout(ANSWER_TIMEOUT, self.ask_once(cid, &frame)).await {
                Ok(Ok(Ok(answer))) => return Ok(answer),
                Ok(Ok(Err(pause))) => {
                    last = anyhow!("the cluster has no time, or no quorum");
                    sleep(pause).await;
                }
                Ok(Err(error)) if error.is::<Refused>() => return Err(error),
                Ok(Err(error)) => {
                    last = error;
                    self.socket = None;
                    sleep(PAUSE).await;
                }
                Err(_) => {
                    last = anyhow!("no answer in time");
                    self.socket = None;
                }
            }
        }
        Err(last.context("not answered, though asked again and again"))
    }

    /// `Ok(Err(pause))`: not now.
    async fn ask_once(
        &mut self,
        cid: Uuid,
        frame: &Value,
    ) -> anyhow::Result<Result<Answer, Duration>> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => none.insert(connect(&self.url, &self.token).await?),
        };
        let cid = cid.to_string();
        socket.send(Message::text(frame.to_string())).await?;
        loop {
            let heard = hear(socket).await?;
            let of_us = heard["cid"] == cid.as_str() || heard["ref"] == cid.as_str();
            match heard["t"].as_str() {
                Some("ack" | "done") if of_us => {
                    return Ok(Ok(Answer {
                        room: heard["room"].as_u64().unwrap_or(0),
                        seq: heard["seq"].as_u64(),
                        dup: heard["dup"].as_bool().unwrap_or(false),
                    }));
                }
                Some("err") if of_us => return verdict(&heard).map(Err),
                // Others' words, and progress.
                _ => {}
            }
        }
    }
}

/// How long to wait, or that it is no use.
fn verdict(error: &Value) -> anyhow::Result<Duration> {
    if error["temporary"].as_bool() == Some(true) {
        let pause = error["retry_ms"].as_u64().map(Duration::from_millis);
        return Ok(pause.unwrap_or(PAUSE));
    }
    let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
    Err(anyhow!(Refused {
        code: text("code"),
        message: text("message"),
    }))
}

async fn post(url: &str, path: &str, body: &Value) -> anyhow::Result<String> {
    let request = reqwest::Client::new().post(format!("{url}{path}"));
    let request = request.header("origin", url).json(body);
    let answer = request.timeout(HTTP_TIMEOUT).send().await;
    let answer = answer.with_context(|| format!("{url} does not answer"))?;
    let cookies = answer.headers().get_all(SET_COOKIE).iter();
    let token = cookies
        .filter_map(|cookie| cookie.to_str().ok()?.split(';').next()?.split_once('='))
        .map(|(_, token)| token.to_owned())
        .next();
    read(answer).await?;
    token.context("the gateway gave no session")
}

/// A socket that is ready: replayed history is skipped like anything else.
async fn connect(url: &str, token: &str) -> anyhow::Result<Socket> {
    let mut request = (url.replacen("http", "ws", 1) + "/ws").into_client_request()?;
    let headers = request.headers_mut();
    headers.insert(
        AUTHORIZATION,
        HeaderValue::from_str(&format!("Bearer {token}"))?,
    );
    headers.insert(
        SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static("chatterbox.v1.json"),
    );
    let (mut socket, _) = connect_async(request).await.context("open a socket")?;
    let start = json!({"t": "start", "useq": 0, "min_slot": 0, "rooms": {}});
    socket.send(Message::text(start.to_string())).await?;
    while hear(&mut socket).await?["t"] != "ready" {}
    Ok(socket)
}

async fn hear(socket: &mut Socket) -> anyhow::Result<Value> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                return serde_json::from_str(&text).context("read a frame");
            }
            Some(Ok(Message::Close(close))) => {
                let reason = close.map(|close| close.reason.to_string());
                bail!("the gateway closed: {}", reason.unwrap_or_default());
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error).context("the socket broke"),
            None => bail!("the socket ended"),
        }
    }
}
