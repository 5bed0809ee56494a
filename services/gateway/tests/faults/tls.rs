//! The public port with a certificate of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use gateway::config::Options;
use ops::shutdown::Token;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::client::{SOON, cid};
use crate::double::World;

/// Writes a new certificate of localhost, as a renewal does; what a browser must trust then.
fn renew(directory: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let pem = made.cert.pem();
    std::fs::write(directory.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(directory.join("tls.crt"), &pem).unwrap();
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

async fn dial(address: &str, trusts: &CertificateDer<'static>) -> Option<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusts.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.ok()?;
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.ok()
}

async fn ask(stream: &mut TlsStream<TcpStream>, request: String) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(SOON, stream.read_to_end(&mut bytes))
        .await
        .unwrap()
        .ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A gateway that people reach by HTTPS.
struct Https {
    _world: Arc<World>,
    directory: tempfile::TempDir,
    address: String,
    stop: Token,
    task: tokio::task::JoinHandle<Result<(), gateway::Error>>,
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

impl Https {
    /// Started and ready, with what its clients must trust and what it said when it was ready.
    async fn start() -> (Self, CertificateDer<'static>, String) {
        let world = World::start().await;
        let directory = tempfile::tempdir().unwrap();
        let trusted = renew(directory.path());
        let options = Options {
            certificate: directory.path().to_owned(),
            ..world.options()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = Token::new();
        let task = tokio::spawn(gateway::run(options, listener, stop.clone()));
        let deadline = Instant::now() + SOON;
        let ready = loop {
            let mut stream = dial(&address, &trusted).await.unwrap();
            let answer = ask(&mut stream, get("/health/ready")).await;
            if answer.starts_with("HTTP/1.1 200") {
                break answer;
            }
            assert!(Instant::now() < deadline, "{answer}");
            sleep(Duration::from_millis(20)).await;
        };
        let gateway = Self {
            _world: world,
            directory,
            address,
            stop,
            task,
        };
        (gateway, trusted, ready)
    }

    /// The line of the answer to a sign-up that sets the cookie.
    async fn sign_up(&self, trusted: &CertificateDer<'static>) -> String {
        let body = json!({"cid": cid(), "name": "alice"}).to_string();
        let sign_up = format!(
            "POST /api/v1/sign-up HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
        let answer = ask(&mut dial(&self.address, trusted).await.unwrap(), sign_up).await;
        answer
            .lines()
            .find(|line| line.to_lowercase().starts_with("set-cookie:"))
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned()
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(SOON, self.task).await.unwrap().unwrap().unwrap();
    }
}

/// Property: with a certificate the port speaks TLS and nothing else, browsers are told to stay with
/// it, and the cookie goes nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_nothing_travels_in_clear_text() {
    let (gateway, trusted, ready) = Https::start().await;
    let ready = ready.to_lowercase();
    assert!(
        ready.contains("strict-transport-security: max-age=31536000"),
        "{ready}"
    );
    let mut plain = TcpStream::connect(&gateway.address).await.unwrap();
    plain.write_all(get("/").as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    timeout(SOON, plain.read_to_end(&mut heard))
        .await
        .unwrap()
        .ok();
    assert!(!heard.starts_with(b"HTTP"), "plain HTTP was answered");
    let cookie = gateway.sign_up(&trusted).await;
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    gateway.stop().await;
}

/// Property: a renewed certificate is taken up, and open sockets do not notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_is_taken_up_and_not_noticed() {
    let (gateway, first, _) = Https::start().await;
    let address = gateway.address.clone();
    let cookie = gateway.sign_up(&first).await;
    let cookie = cookie["set-cookie:".len()..]
        .split(';')
        .next()
        .unwrap()
        .trim();
    let mut request = format!("wss://{address}/ws").into_client_request().unwrap();
    let origin = format!("https://{address}");
    for (name, value) in [
        ("cookie", cookie),
        ("origin", &*origin),
        ("sec-websocket-protocol", "chatterbox.v1.json"),
    ] {
        request
            .headers_mut()
            .insert(name, HeaderValue::from_str(value).unwrap());
    }
    let stream = dial(&address, &first).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .unwrap();
    let start = json!({"t": "start", "useq": 0, "min_slot": 0, "rooms": {}});
    socket.send(Message::text(start.to_string())).await.unwrap();

    let second = renew(gateway.directory.path());
    let deadline = Instant::now() + SOON;
    while dial(&address, &second).await.is_none() {
        assert!(
            Instant::now() < deadline,
            "the renewed certificate is not used"
        );
        sleep(Duration::from_millis(50)).await;
    }
    assert!(
        dial(&address, &first).await.is_none(),
        "the first one is still used"
    );

    socket
        .send(Message::text(json!({"t": "ping", "n": 7}).to_string()))
        .await
        .unwrap();
    let pong = async {
        while let Some(Ok(message)) = socket.next().await {
            let frame: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
            if frame["t"] == "pong" {
                return;
            }
        }
        panic!("the socket ended");
    };
    timeout(SOON, pong).await.unwrap();
    gateway.stop().await;
}

/// Property: what cannot be used is said at the start, by the name of its setting.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_is_said_at_the_start() {
    let world = World::start().await;
    let directory = tempfile::tempdir().unwrap();
    renew(directory.path());
    let key = std::fs::read(directory.path().join("tls.key")).unwrap();
    renew(directory.path());
    std::fs::write(directory.path().join("tls.key"), key).unwrap();
    let options = Options {
        certificate: directory.path().to_owned(),
        ..world.options()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = gateway::run(options, listener, Token::new())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("the setting certificate"),
        "{error}"
    );
    assert!(error.to_string().contains("no pair"), "{error}");
}
