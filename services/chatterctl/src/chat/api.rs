//! The HTTP part of the client protocol.

use std::fmt;
use std::time::Duration;

use reqwest::header::SET_COOKIE;
use reqwest::{Method, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::frames::{Event, Person, RoomSummary};

const COOKIE: &str = "chatterbox_session";
const TIMEOUT: Duration = Duration::from_secs(10);

/// A gateway, seen as one person.
pub(super) struct Api {
    client: reqwest::Client,
    pub(super) url: String,
    pub(super) token: Option<String>,
}

/// Why a request did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The gateway said no.
    Refused {
        status: u16,
        code: String,
        message: String,
        temporary: bool,
    },
    /// Nobody answered.
    Unreachable(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { message, .. } => f.write_str(message),
            Self::Unreachable(words) => f.write_str(words),
        }
    }
}

impl std::error::Error for Failure {}

#[derive(Deserialize)]
struct Events {
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct User {
    user: Person,
}

impl Api {
    pub(super) fn new(url: String) -> Self {
        Self {
            client: reqwest::Client::new(),
            url,
            token: None,
        }
    }

    /// Makes an account; the token of its session is kept here. With the same `cid` and
    /// `secret` it may be tried until an answer comes.
    pub(super) async fn sign_up(
        &mut self,
        cid: Uuid,
        name: &str,
        secret: &str,
    ) -> Result<Person, Failure> {
        let body = json!({"cid": cid, "name": name, "secret": secret});
        let answer = self
            .ask(Method::POST, "/api/v1/sign-up", Some(body))
            .await?;
        let cookies = answer.headers().get_all(SET_COOKIE).iter();
        self.token = cookies
            .filter_map(|cookie| token(cookie.to_str().ok()?))
            .next();
        if self.token.is_none() {
            return Err(Failure::Unreachable(
                "the gateway gave no session".to_owned(),
            ));
        }
        Ok(read::<User>(answer).await?.user)
    }

    /// Who one is.
    pub(super) async fn me(&self) -> Result<Person, Failure> {
        Ok(self.get::<User>("/api/v1/me").await?.user)
    }

    /// Every room that one may join.
    pub(super) async fn rooms(&self) -> Result<Vec<RoomSummary>, Failure> {
        #[derive(Deserialize)]
        struct Rooms {
            rooms: Vec<RoomSummary>,
        }
        Ok(self.get::<Rooms>("/api/v1/rooms").await?.rooms)
    }

    /// Who is in a room.
    pub(super) async fn members(&self, room: u64) -> Result<Vec<Person>, Failure> {
        #[derive(Deserialize)]
        struct Members {
            members: Vec<Person>,
        }
        Ok(self
            .get::<Members>(&format!("/api/v1/rooms/{room}/members"))
            .await?
            .members)
    }

    /// A page of events above `after`.
    pub(super) async fn events_after(&self, room: u64, after: u64) -> Result<Vec<Event>, Failure> {
        let path = format!("/api/v1/rooms/{room}/events?after={after}&limit=200");
        Ok(self.get::<Events>(&path).await?.events)
    }

    /// The newest events up to and including `last`.
    pub(super) async fn events_upto(
        &self,
        room: u64,
        last: u64,
        limit: u64,
    ) -> Result<Vec<Event>, Failure> {
        let before = last + 1;
        let path = format!("/api/v1/rooms/{room}/events?before={before}&limit={limit}");
        Ok(self.get::<Events>(&path).await?.events)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        read(self.ask(Method::GET, path, None).await?).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Response, Failure> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        request = request.timeout(TIMEOUT);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request
            .send()
            .await
            .map_err(|error| unreachable(&self.url, error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap_or_default();
        let error = &body["error"];
        let text = |key: &str| error[key].as_str().map(str::to_owned);
        Err(Failure::Refused {
            status,
            code: text("code").unwrap_or_default(),
            message: text("message").unwrap_or_else(|| format!("the gateway answered {status}")),
            temporary: error["temporary"].as_bool().unwrap_or(status >= 500),
        })
    }
}

async fn read<T: DeserializeOwned>(answer: Response) -> Result<T, Failure> {
    let unreadable = |error: reqwest::Error| {
        Failure::Unreachable(format!(
            "the answer is not readable: {}",
            error.without_url()
        ))
    };
    answer.json().await.map_err(unreadable)
}

fn unreachable(url: &str, error: reqwest::Error) -> Failure {
    let why = ops::errors::chain(&error.without_url());
    let remedy = if why.contains("certificate") {
        "; SSL_CERT_FILE names a file with an authority that this machine does not trust yet"
    } else {
        ""
    };
    Failure::Unreachable(format!("{url} does not answer: {why}{remedy}"))
}

/// The token in `chatterbox_session=TOKEN; HttpOnly; …`.
fn token(cookie: &str) -> Option<String> {
    let (name, value) = cookie.split(';').next()?.split_once('=')?;
    (name.trim() == COOKIE && !value.is_empty()).then(|| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::token;

    #[test]
    fn finds_the_token_in_the_cookie() {
        let cookie = "chatterbox_session=abc; HttpOnly; SameSite=Lax; Path=/";
        assert_eq!(token(cookie).as_deref(), Some("abc"));
        assert_eq!(token("other=abc; Path=/"), None);
        assert_eq!(token("chatterbox_session=; Max-Age=0"), None);
    }
}
