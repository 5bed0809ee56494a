//! TLS of the public port.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use scenarios::client::GENERAL;
use scenarios::{Client, Cluster, ports, process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::SOON;

/// Writes a new certificate, and says which one.
fn issue(into: &Path) -> Result<CertificateDer<'static>> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
    std::fs::write(into.join("tls.key"), key.serialize_pem())?;
    std::fs::write(into.join("tls.crt"), certificate.pem())?;
    Ok(certificate.der().clone())
}

async fn connect(port: u16, trusted: &CertificateDer<'static>) -> Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = TcpStream::connect(("127.0.0.1", port)).await?;
    let name = ServerName::try_from("localhost")?;
    let connector = TlsConnector::from(Arc::new(config));
    Ok(timeout(SOON, connector.connect(name, connection)).await??)
}

async fn ask(stream: &mut TlsStream<TcpStream>, request: &str) -> Result<String> {
    stream.write_all(request.as_bytes()).await?;
    let mut text = vec![0; 16 * 1024];
    let count = timeout(SOON, stream.read(&mut text)).await??;
    Ok(String::from_utf8_lossy(&text[..count]).to_lowercase())
}

/// Property: `chatterctl chat` speaks TLS with a gateway whose authority is trusted, and says what is
/// wrong with another one.
async fn talks_from_a_terminal(cluster: &Cluster, port: u16, place: &Path) -> Result<()> {
    let url = format!("https://localhost:{port}");
    let chat = |trusted: &str| {
        let mut command = Command::new(process::binary("chatterctl")?);
        command
            .args(["chat", "--url", &url, "--name", "bob"])
            .env("SSL_CERT_FILE", place.join(trusted))
            .env("XDG_STATE_HOME", place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        anyhow::Ok(command.spawn()?)
    };
    let other = place.join("other");
    std::fs::create_dir(&other)?;
    issue(&other)?;
    let mut stranger = chat("other/tls.crt")?;
    let said = stranger.stdout.take().context("piped")?;
    let line = timeout(SOON, BufReader::new(said).lines().next_line()).await??;
    let line = line.context("it said nothing")?;
    ensure!(line.contains("SSL_CERT_FILE"), "{line}");
    stranger.kill().await?;

    let mut bob = chat("tls.crt")?;
    let mut keys = bob.stdin.take().context("piped")?;
    keys.write_all(b"hello over TLS\n").await?;
    drop(keys);
    let ended = timeout(SOON, bob.wait_with_output()).await??;
    let said = String::from_utf8_lossy(&ended.stdout);
    ensure!(ended.status.success(), "{said}");
    // It goes as soon as everything is acknowledged, whether it was shown its own line or not: ask
    // somebody else.
    let carol = Client::sign_up(&cluster.gateway_urls[0], "carol").await?;
    let history = carol.whole_history(GENERAL).await?;
    let hello = |event: &Value| event.to_string().contains("hello over TLS");
    ensure!(
        history.iter().filter(|event| hello(event)).count() == 1,
        "{said}"
    );
    Ok(())
}

const LIVE: &str = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Property: with a certificate the port speaks TLS alone, tells browsers to stay with it, and
/// takes up the next certificate while connections of the one before go on.
#[tokio::test(flavor = "multi_thread")]
async fn people_are_served_over_tls() -> Result<()> {
    let place = tempfile::tempdir()?;
    let first = issue(place.path())?;
    let cluster = Cluster::start(1).await?;
    let plain = reqwest::get(format!("{}/health/live", cluster.gateway_urls[0])).await?;
    let hsts = plain.headers().get("strict-transport-security");
    ensure!(hsts.is_none(), "plain HTTP promises nothing");

    let port = ports::free();
    let mut gateway = process::Process::start(process::Spec {
        name: "encrypted".to_owned(),
        binary: "gateway",
        env: [
            ("LISTEN", format!("127.0.0.1:{port}")),
            ("MEMBERSHIP", cluster.membership_url.clone()),
            ("PUBLIC_TLS", place.path().display().to_string()),
        ]
        .map(|(key, value)| (format!("CHATTERBOX_GATEWAY_{key}"), value))
        .to_vec(),
        log: place.path().join("log"),
    })?;
    let deadline = Instant::now() + SOON;
    let mut old = loop {
        match connect(port, &first).await {
            Ok(stream) => break stream,
            Err(error) => ensure!(Instant::now() < deadline, "{error:#}: {}", gateway.output()),
        }
        sleep(Duration::from_millis(50)).await;
    };
    let said = ask(&mut old, LIVE).await?;
    ensure!(said.starts_with("http/1.1 200"), "{said}");
    ensure!(
        said.contains("strict-transport-security: max-age=31536000"),
        "{said}"
    );
    let body = r#"{"cid":"01890a5d-ac96-774b-bcce-b302099a8057","name":"alice"}"#;
    let sign_up = format!(
        "POST /api/v1/sign-up HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let said = loop {
        let said = ask(&mut old, &sign_up).await?;
        // It starts.
        if !said.starts_with("http/1.1 5") || Instant::now() > deadline {
            break said;
        }
        sleep(Duration::from_millis(50)).await;
    };
    ensure!(said.starts_with("http/1.1 201"), "{said}");
    ensure!(said.contains("; secure"), "{said}");
    let plain = reqwest::get(format!("http://127.0.0.1:{port}/health/live")).await;
    ensure!(plain.is_err(), "plain HTTP was answered: {plain:?}");

    let second = issue(place.path())?;
    let deadline = Instant::now() + SOON;
    while let Err(error) = connect(port, &second).await {
        ensure!(Instant::now() < deadline, "{error:#}: {}", gateway.output());
        sleep(Duration::from_millis(100)).await;
    }
    let said = ask(&mut old, LIVE).await?;
    ensure!(said.starts_with("http/1.1 200"), "{said}");
    talks_from_a_terminal(&cluster, port, place.path()).await?;
    std::fs::write(place.path().join("tls.crt"), "nonsense")?;
    // Two looks, which find it at fault both times.
    let deadline = Instant::now() + SOON;
    while !gateway.output().contains("cannot be used") {
        ensure!(Instant::now() < deadline, "{}", gateway.output());
        sleep(Duration::from_millis(100)).await;
    }
    connect(port, &second).await?;
    gateway.kill();
    Ok(())
}
