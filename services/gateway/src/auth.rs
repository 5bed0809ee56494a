//! Who asks: tokens, cookies, origins, and sessions that were found lately.
//!
//! In: headers. Out: whose session it is.
//! Must hold: a token is nowhere but in the cookie or the `Authorization` header, and only its
//! SHA-256 goes to the replicas; a cookie alone never suffices to change something or to open
//! a socket: the `Origin` must be ours.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, HeaderValue, header};
use rand::Rng as _;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::errors::Error;
use crate::frames::{ErrorCode, Me};
use crate::ids::{Cid, UserId};
use crate::limits::{DEVICE_BYTES_MAX, SESSION_CACHED, SESSIONS_CACHED_MAX};

/// The name of the cookie.
pub(crate) const COOKIE: &str = "chatterbox_session";
/// Browsers keep no cookie longer than 400 days.
const COOKIE_AGE_S: u32 = 400 * 24 * 60 * 60;
/// 32 bytes in base64url.
const TOKEN_CHARS: usize = 43;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A session's secret. Not `Debug`: it must not get into a log.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    /// A new one that nobody can make again.
    pub(crate) fn random() -> Self {
        let mut bytes = [0; 32];
        rand::rng().fill(&mut bytes);
        Self(base64url(&bytes))
    }

    /// The one that belongs to a sign-up or sign-in: whoever repeats it with the same secret gets the
    /// same session, at whatever gateway.
    pub(crate) fn of_wish(cid: Cid, secret: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(b"chatterbox session v1\0")
            .chain_update(cid.0.as_bytes())
            .chain_update(secret.as_bytes())
            .finalize();
        Self(base64url(&digest))
    }

    /// From a header, if it can be one of ours.
    fn parse(text: &str) -> Option<Self> {
        let ours = text.len() == TOKEN_CHARS && text.bytes().all(|byte| ALPHABET.contains(&byte));
        ours.then(|| Self(text.to_owned()))
    }

    /// What the replicas know.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The cookie that holds it.
    pub(crate) fn cookie(&self, secure: bool) -> Option<HeaderValue> {
        cookie(&self.0, COOKIE_AGE_S, secure)
    }
}

/// The cookie that ends a session in the browser.
pub(crate) fn no_cookie(secure: bool) -> Option<HeaderValue> {
    cookie("", 0, secure)
}

fn cookie(value: &str, age_s: u32, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{COOKIE}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).ok()
}

fn base64url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 1);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let group = u32::from_be_bytes(group);
        for index in 0..=chunk.len() {
            let six = (group >> (18 - 6 * index)) & 0x3f;
            text.push(char::from(ALPHABET[six as usize]));
        }
    }
    text
}

/// How a request says who it is.
pub(crate) enum Credentials {
    /// A browser's cookie, which the browser sends along whoever made it ask.
    Cookie(Token),
    /// A header that only a program sets on purpose.
    Bearer(Token),
    /// Nothing, or nothing that could be ours.
    None,
}

impl Credentials {
    /// Reads them; a header wins over a cookie.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .and_then(|(_, token)| Token::parse(token.trim()));
        if let Some(token) = bearer {
            return Self::Bearer(token);
        }
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(name, _)| *name == COOKIE)
            .find_map(|(_, value)| Token::parse(value))
            .map_or(Self::None, Self::Cookie)
    }

    /// The token, whichever way it came.
    pub(crate) fn token(&self) -> Option<&Token> {
        match self {
            Self::Cookie(token) | Self::Bearer(token) => Some(token),
            Self::None => None,
        }
    }
}

/// Refuses what a foreign page made a browser ask. For whatever changes something and for
/// sockets; reads are protected by the browser itself, which shows no foreign page the answer.
pub(crate) fn check_origin(
    headers: &HeaderMap,
    credentials: &Credentials,
    public_origins: &[String],
) -> Result<(), Error> {
    if matches!(credentials, Credentials::Bearer(_)) {
        return Ok(());
    }
    let refused = |message| Err(Error::new(ErrorCode::ForbiddenOrigin, message));
    let Some(origin) = headers.get(header::ORIGIN) else {
        return match credentials {
            Credentials::Cookie(_) => refused("a request with a cookie needs an Origin header"),
            _ => Ok(()),
        };
    };
    let Ok(origin) = origin.to_str() else {
        return refused("the Origin header is not text");
    };
    if public_origins
        .iter()
        .any(|ours| ours.eq_ignore_ascii_case(origin))
    {
        return Ok(());
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    match (host, authority) {
        (Some(host), Some(authority)) if host.eq_ignore_ascii_case(authority) => Ok(()),
        _ => refused("this page may not use this gateway; see public_origins"),
    }
}

/// What a session is listed as: the browser and the system, as far as it says.
pub(crate) fn device(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT);
    let agent = agent.and_then(|value| value.to_str().ok()).unwrap_or("");
    // The order matters: most of them claim to be the ones below as well.
    let browser = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    let system = [
        ("Android", "Android"),
        ("iPhone", "iOS"),
        ("iPad", "iPadOS"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let find = |known: &[(&str, &'static str)]| {
        let found = known.iter().find(|(mark, _)| agent.contains(mark));
        found.map(|(_, name)| *name)
    };
    match (find(&browser), find(&system)) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => agent
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "-_. ".contains(*c))
            .take(DEVICE_BYTES_MAX)
            .collect(),
    }
}

/// Whether the browser's connection is encrypted, as a proxy in front says. To lie about it
/// only hurts the liar.
pub(crate) fn is_secure(headers: &HeaderMap) -> bool {
    headers
        .get("x-forwarded-proto")
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case("https"))
}

/// Sessions that a replica confirmed lately. What is not here may still be one.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    found: Mutex<HashMap<[u8; 32], (Me, Instant)>>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], (Me, Instant)>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose it is, if that is known and fresh.
    pub(crate) fn get(&self, token_hash: &[u8; 32]) -> Option<Me> {
        self.get_at(token_hash, Instant::now())
    }

    fn get_at(&self, token_hash: &[u8; 32], now: Instant) -> Option<Me> {
        let found = self.lock();
        let (person, until) = found.get(token_hash)?;
        (*until > now).then(|| person.clone())
    }

    /// A replica confirmed it.
    pub(crate) fn remember(&self, token_hash: [u8; 32], person: Me) {
        let now = Instant::now();
        let mut found = self.lock();
        if found.len() >= SESSIONS_CACHED_MAX {
            found.retain(|_, (_, until)| *until > now);
        }
        if found.len() >= SESSIONS_CACHED_MAX {
            found.clear();
        }
        found.insert(token_hash, (person, now + SESSION_CACHED));
    }

    /// It was revoked.
    pub(crate) fn forget(&self, token_hash: &[u8]) {
        if let Ok(token_hash) = <[u8; 32]>::try_from(token_hash) {
            self.lock().remove(&token_hash);
        }
    }

    /// All of a person's ended but one, or what they say of the person has changed.
    pub(crate) fn forget_of(&self, user: UserId) {
        self.lock().retain(|_, (person, _)| person.id != user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::AccountRole;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn base64url_is_that_of_the_standard() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foobar", "Zm9vYmFy"),
            (&[0xfb, 0xff, 0xfe], "-__-"),
        ] {
            assert_eq!(base64url(bytes), text);
        }
        assert_eq!(Token::random().0.len(), TOKEN_CHARS);
    }

    #[test]
    fn a_repeated_sign_up_has_the_same_token_and_another_secret_has_not() {
        let cid = Cid::parse("019aaf3e-6b7c-7a00-8000-000000000001").unwrap();
        let token = Token::of_wish(cid, "one");
        assert!(token == Token::of_wish(cid, "one"));
        assert!(token != Token::of_wish(cid, "two"));
    }

    #[test]
    fn cookies_and_bearers_are_found() {
        let Token(text) = Token::random();
        let cookie = headers(&[("cookie", &format!("a=b; {COOKIE}={text}; c=d"))]);
        assert!(
            matches!(Credentials::of(&cookie), Credentials::Cookie(Token(token)) if token == text)
        );
        let bearer = headers(&[("authorization", &format!("Bearer {text}"))]);
        assert!(matches!(Credentials::of(&bearer), Credentials::Bearer(_)));
        for nonsense in [
            headers(&[]),
            headers(&[("cookie", &format!("{COOKIE}=short"))]),
            headers(&[("authorization", "Basic abc")]),
        ] {
            assert!(Credentials::of(&nonsense).token().is_none());
        }
    }

    #[test]
    fn a_session_is_listed_as_what_the_browser_says() {
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let edge = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) \
                    Chrome/140.0 Safari/537.36 Edg/140.0";
        for (agent, wanted) in [
            (firefox, "Firefox, Linux"),
            (edge, "Edge, Windows"),
            ("chatterctl/0.1", "chatterctl"),
            ("", ""),
            (&*"x".repeat(500), &*"x".repeat(DEVICE_BYTES_MAX)),
        ] {
            assert_eq!(device(&headers(&[("user-agent", agent)])), wanted);
        }
    }

    #[test]
    fn a_foreign_page_is_refused() {
        let cookie = || Credentials::Cookie(Token::random());
        let check = |pairs: &[(&'static str, &str)], credentials: &Credentials| {
            let public = ["https://chat.example.org".to_owned()];
            check_origin(&headers(pairs), credentials, &public).is_ok()
        };
        let host = ("host", "127.0.0.1:1050");
        assert!(check(
            &[host, ("origin", "http://127.0.0.1:1050")],
            &cookie()
        ));
        assert!(check(
            &[host, ("origin", "https://chat.example.org")],
            &cookie()
        ));
        assert!(!check(&[host], &cookie()), "a cookie without an origin");
        assert!(!check(
            &[host, ("origin", "http://127.0.0.1:1051")],
            &cookie()
        ));
        assert!(!check(
            &[host, ("origin", "https://evil.example")],
            &Credentials::None
        ));
        assert!(!check(&[host, ("origin", "null")], &cookie()));
        assert!(
            check(&[host], &Credentials::None),
            "a program without a cookie"
        );
        let bearer = Credentials::Bearer(Token::random());
        assert!(check(&[host, ("origin", "https://evil.example")], &bearer));
    }

    #[test]
    fn a_session_is_believed_for_a_while_and_not_after_its_end() {
        let sessions = Sessions::default();
        let person = Me {
            id: UserId(1),
            name: "alice".to_owned(),
            role: AccountRole::Member,
            colour: 0,
            has_password: true,
        };
        sessions.remember([1; 32], person.clone());
        assert_eq!(sessions.get(&[1; 32]), Some(person.clone()));
        sessions.forget(&[1; 32]);
        assert_eq!(sessions.get(&[1; 32]), None);
        sessions.remember([1; 32], person.clone());
        sessions.forget_of(UserId(2));
        assert_eq!(sessions.get(&[1; 32]), Some(person.clone()));
        sessions.forget_of(UserId(1));
        assert_eq!(sessions.get(&[1; 32]), None);
        sessions.remember([1; 32], person);
        assert_eq!(
            sessions.get_at(&[1; 32], Instant::now() + SESSION_CACHED),
            None
        );
    }
}
