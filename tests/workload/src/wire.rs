//! An account, and a socket of it: the only WebSocket client of the tests.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use uuid::Uuid;

use crate::limits::{READ_TIMEOUT, WRITE_TIMEOUT};

/// A person with a session.
#[derive(Clone, Debug)]
pub struct Account {
    /// The account.
    pub user: u64,
    /// The session's token.
    pub token: String,
}

impl Account {
    /// Makes an account at one of the gateways (`http://host:port`), retrying while the cluster
    /// cannot commit.
    ///
    /// # Errors
    /// When the name is refused, or nothing was committed within the time.
    pub async fn sign_up(bases: &[String], name: &str, within: Duration) -> Result<Self> {
        let body = json!({"cid": Uuid::now_v7(), "name": name, "secret": secret()});
        Self::enter(bases, "sign-up", &body, within).await
    }

    /// As [`Account::sign_up`], for an account that can sign in again.
    ///
    /// # Errors
    /// See there.
    pub async fn sign_up_with(
        bases: &[String],
        name: &str,
        password: &str,
        within: Duration,
    ) -> Result<Self> {
        Self::enter(bases, "sign-up", &credentials(name, password), within).await
    }

    /// Begins another session of an account, retrying while the cluster cannot commit.
    ///
    /// # Errors
    /// When the password is refused, or nothing was committed within the time.
    pub async fn sign_in(
        bases: &[String],
        name: &str,
        password: &str,
        within: Duration,
    ) -> Result<Self> {
        Self::enter(bases, "sign-in", &credentials(name, password), within).await
    }

    /// Posts `body` to `/api/v1/{how}` until it is answered for good.
    async fn enter(bases: &[String], how: &str, body: &Value, within: Duration) -> Result<Self> {
        let deadline = Instant::now() + within;
        for base in bases.iter().cycle() {
            let request = reqwest::Client::new()
                .post(format!("{base}/api/v1/{how}"))
                .header("origin", base)
                .header("content-type", "application/json")
                .timeout(READ_TIMEOUT)
                .body(body.to_string());
            match request.send().await {
                Ok(response) if response.status().is_success() => {
                    return Self::from_answer(response).await;
                }
                Ok(response)
                    if !response.status().is_server_error() && response.status() != 429 =>
                {
                    bail!(
                        "{how} as {}: {} {}",
                        body["name"],
                        response.status(),
                        response.text().await?
                    );
                }
                result => {
                    ensure!(
                        Instant::now() < deadline,
                        "{how} as {}: {result:?}",
                        body["name"]
                    );
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
        bail!("there is no gateway to {how} at")
    }

    async fn from_answer(response: reqwest::Response) -> Result<Self> {
        let cookie = response
            .headers()
            .get("set-cookie")
            .context("the answer sets a cookie")?;
        let token = cookie
            .to_str()?
            .split(';')
            .next()
            .and_then(|pair| pair.strip_prefix("chatterbox_session="))
            .context("the cookie is chatterbox_session")?
            .to_owned();
        let answer: Value = serde_json::from_slice(&response.bytes().await?)?;
        let user = answer["user"]["id"].as_u64().context("user.id")?;
        Ok(Self { user, token })
    }

    /// Reads a path of the HTTP interface as this person.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub async fn get(&self, http: &reqwest::Client, url: &str) -> Result<Vec<u8>> {
        let request = http
            .get(url)
            .header("authorization", format!("Bearer {}", self.token))
            .timeout(READ_TIMEOUT);
        let response = request.send().await?;
        ensure!(response.status() == 200, "{url}: {}", response.status());
        Ok(response.bytes().await?.to_vec())
    }
}

/// What signing up and signing in ask for.
fn credentials(name: &str, password: &str) -> Value {
    json!({"cid": Uuid::now_v7(), "name": name, "password": password, "secret": secret()})
}

/// What a client makes so that a retry gets the same session (docs/protocol.md, section 1).
fn secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Opens one at the gateway `base`. Nothing is said on it yet.
    ///
    /// # Errors
    /// When the gateway does not answer or refuses.
    pub async fn open(base: &str, account: &Account) -> Result<Self> {
        let url = format!("{}/ws", base.replacen("http", "ws", 1));
        let mut request = url.into_client_request()?;
        let headers = request.headers_mut();
        let bearer = format!("Bearer {}", account.token);
        headers.insert("authorization", HeaderValue::from_str(&bearer)?);
        headers.insert(
            "sec-websocket-protocol",
            HeaderValue::from_static("chatterbox.v1.json"),
        );
        let (stream, _) = tokio_tungstenite::connect_async(request).await?;
        Ok(Self { stream })
    }

    /// Writes any message.
    ///
    /// # Errors
    /// When the socket is broken or takes nothing for 5 s.
    pub async fn write(&mut self, message: Message) -> Result<()> {
        timeout(WRITE_TIMEOUT, self.stream.send(message))
            .await
            .context("the socket takes nothing")??;
        Ok(())
    }

    /// The next text frame. May be dropped while it waits, without loss.
    ///
    /// # Errors
    /// When the socket was closed or broke; says with which code.
    pub async fn next(&mut self) -> Result<String> {
        Ok(self.next_shared().await?.as_str().to_owned())
    }

    /// As [`Socket::next`], without a copy: for whoever reads thousands of sockets.
    ///
    /// # Errors
    /// See there.
    pub async fn next_shared(&mut self) -> Result<Utf8Bytes> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(reason))) => bail!("closed: {reason:?}"),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => bail!("the socket ended"),
            }
        }
    }
}
