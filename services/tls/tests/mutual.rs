//! Goal: nobody gets in without a certificate of the right authority, cluster, role and time, and
//! certificates change under open connections. Method: real servers and clients on loopback.

#![allow(clippy::expect_used, reason = "a test may stop at once")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use tls::access::Table;
use tls::authority::Authority;
use tls::{Identity, Mutual, Role};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const HOUR: Duration = Duration::from_secs(3600);
/// The files are looked at every two seconds.
const TAKEN_UP: Duration = Duration::from_secs(10);

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("directory"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A certificate of an authority, made when it is first named.
    fn issue(&self, authority: &str, cluster: &str, role: Role, valid: Duration) -> PathBuf {
        let into = self.path(&format!("{authority}-{cluster}-{role}"));
        self.issue_into(authority, cluster, role, valid, &into);
        into
    }

    fn issue_into(&self, authority: &str, cluster: &str, role: Role, valid: Duration, into: &Path) {
        let authority =
            Authority::open_or_create(&self.path(authority), cluster).expect("authority");
        let identity = Identity::new(cluster, role).expect("name");
        authority.issue(&identity, valid, into).expect("issued");
    }
}

/// Nobody but replicas may watch; everybody may check.
const ACCESS: Table = &[
    ("grpc.health.v1.Health/Watch", &[Role::Replica]),
    ("grpc.health.v1.Health/Check", &Role::ALL),
];

async fn serve(tls: &Mutual) -> Endpoint {
    let (_, health) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let server = Server::builder()
        .layer(tls.access(ACCESS))
        .add_service(health);
    tokio::spawn(server.serve_with_incoming(tls.incoming(listener)));
    Endpoint::from_shared(url)
        .expect("a URL")
        .connect_timeout(Duration::from_secs(3))
}

async fn check(channel: Channel) -> Result<(), Status> {
    let request = HealthCheckRequest::default();
    HealthClient::new(channel).check(request).await.map(drop)
}

/// Dials anew and asks: `Ok`, or everything that went wrong in words.
async fn ask(tls: &Mutual, endpoint: &Endpoint, to: &'static [Role]) -> Result<(), String> {
    let words = |error: &dyn std::error::Error| {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            text.push_str(&format!(": {next}"));
            cause = next.source();
        }
        text
    };
    let channel = tls.connect(endpoint, to).await.map_err(|e| words(&e))?;
    check(channel).await.map_err(|status| words(&status))
}

#[tokio::test]
async fn services_of_one_cluster_speak_and_strangers_do_not() {
    let place = Place::new();
    let server = place.issue("ca", "one", Role::Replica, HOUR);
    let server = Mutual::start(&server, Role::Replica).expect("server");
    let endpoint = serve(&server).await;
    let load = |directory: PathBuf| Mutual::load(&directory, &Role::ALL).expect("client");
    let gateway = load(place.issue("ca", "one", Role::Gateway, HOUR));
    ask(&gateway, &endpoint, &[Role::Replica])
        .await
        .expect("one of us");

    let plain = ask(&Mutual::plain(), &endpoint, &[Role::Replica]).await;
    plain.expect_err("without a certificate");
    let wrong = load(place.issue("other", "one", Role::Gateway, HOUR));
    let error = ask(&wrong, &endpoint, &[Role::Replica])
        .await
        .expect_err("another authority");
    assert!(error.contains("invalid peer certificate"), "{error}");
    // Of the same authority, which both clusters believe, and still not of this one.
    let foreign = load(place.issue("ca", "two", Role::Gateway, HOUR));
    let error = ask(&foreign, &endpoint, &[Role::Replica])
        .await
        .expect_err("another cluster");
    assert!(error.contains("not of the cluster two"), "{error}");
    ask(&gateway, &endpoint, &[Role::Replica])
        .await
        .expect("still serves");
}

#[tokio::test]
async fn a_role_reaches_what_is_for_it_and_answers_for_itself() {
    let place = Place::new();
    let server = place.issue("ca", "one", Role::Replica, HOUR);
    let server = Mutual::start(&server, Role::Replica).expect("server");
    let endpoint = serve(&server).await;
    for role in Role::ALL {
        let client = place.issue("ca", "one", role, HOUR);
        let client = Mutual::start(&client, role).expect("client");
        let channel = client
            .connect(&endpoint, &[Role::Replica])
            .await
            .expect("connected");
        check(channel.clone()).await.expect("for everybody");
        let watched = HealthClient::new(channel)
            .watch(HealthCheckRequest::default())
            .await;
        match watched {
            Ok(_) => assert_eq!(role, Role::Replica),
            Err(status) => {
                assert_ne!(role, Role::Replica);
                assert_eq!(status.code(), Code::PermissionDenied);
                let wanted = format!("{role} of one may not call grpc.health.v1.Health/Watch");
                assert_eq!(status.message(), wanted);
            }
        }
        let error = ask(&client, &endpoint, &[Role::Membership])
            .await
            .expect_err("an impostor");
        assert!(
            error.contains("replica of one, not a membership"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_wrong_directory_is_said_at_start() {
    let place = Place::new();
    let gateway = place.issue("ca", "one", Role::Gateway, HOUR);
    let said = |directory: &Path, role| {
        Mutual::start(directory, role)
            .expect_err("refused")
            .to_string()
    };
    let wrong = said(&gateway, Role::Replica);
    assert!(
        wrong.contains("is of gateway of one; a certificate of replica"),
        "{wrong}"
    );
    let missing = said(&place.path("nowhere"), Role::Replica);
    assert!(
        missing.contains("ca.crt") && missing.contains("No such file"),
        "{missing}"
    );
    // A key that is another one's.
    let other = place.issue("ca", "one", Role::Replica, HOUR);
    std::fs::copy(other.join(tls::KEY_FILE), gateway.join(tls::KEY_FILE)).expect("copied");
    let pair = said(&gateway, Role::Gateway);
    assert!(pair.contains("are no pair"), "{pair}");
    let expired = place.issue("ca", "one", Role::Operator, Duration::ZERO);
    // A certificate is good in the whole of its last second.
    sleep(Duration::from_secs(2)).await;
    let expired = said(&expired, Role::Operator);
    assert!(expired.contains("xpired"), "{expired}");
    assert!(
        Mutual::start(Path::new(""), Role::Replica)
            .expect("plain")
            .identity()
            .is_none()
    );
}

/// A client whose certificate ends while it runs opens no new connection.
#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let place = Place::new();
    let server = place.issue("ca", "one", Role::Replica, HOUR);
    let server = Mutual::start(&server, Role::Replica).expect("server");
    let endpoint = serve(&server).await;
    let short = Duration::from_secs(3);
    let client = place.issue("ca", "one", Role::Gateway, short);
    let client = Mutual::start(&client, Role::Gateway).expect("client");
    ask(&client, &endpoint, &[Role::Replica])
        .await
        .expect("in time");
    // The clock is the subject.
    sleep(short + Duration::from_secs(2)).await;
    let error = ask(&client, &endpoint, &[Role::Replica])
        .await
        .expect_err("too late");
    assert!(error.contains("CertificateExpired"), "{error}");
}

/// Everything changes, authority included, while a connection is open: it goes on, and the next
/// one is by the new certificates.
#[tokio::test]
async fn certificates_are_replaced_without_a_restart() {
    let place = Place::new();
    let server_files = place.issue("old", "one", Role::Replica, HOUR);
    let client_files = place.issue("old", "one", Role::Gateway, HOUR);
    let server = Mutual::start(&server_files, Role::Replica).expect("server");
    let client = Mutual::start(&client_files, Role::Gateway).expect("client");
    let endpoint = serve(&server).await;
    let open = client
        .connect(&endpoint, &[Role::Replica])
        .await
        .expect("connected");
    check(open.clone()).await.expect("open");

    // What cannot be used changes nothing.
    let key = server_files.join(tls::KEY_FILE);
    let before = std::fs::read(&key).expect("a key");
    std::fs::write(&key, "nonsense").expect("written");
    sleep(TAKEN_UP / 2).await;
    ask(&client, &endpoint, &[Role::Replica])
        .await
        .expect("the one before stays");
    std::fs::write(&key, before).expect("written");

    place.issue_into("new", "one", Role::Replica, HOUR, &server_files);
    let deadline = Instant::now() + TAKEN_UP;
    while ask(&client, &endpoint, &[Role::Replica]).await.is_ok() {
        assert!(
            Instant::now() < deadline,
            "the server still has the old certificate"
        );
        sleep(Duration::from_millis(100)).await;
    }
    check(open.clone())
        .await
        .expect("an open connection goes on");
    place.issue_into("new", "one", Role::Gateway, HOUR, &client_files);
    let deadline = Instant::now() + TAKEN_UP;
    while let Err(error) = ask(&client, &endpoint, &[Role::Replica]).await {
        assert!(
            Instant::now() < deadline,
            "the client still has the old one: {error}"
        );
        sleep(Duration::from_millis(100)).await;
    }
    check(open).await.expect("an open connection goes on");
}

/// Whoever connects and says nothing holds up nobody.
#[tokio::test]
async fn silent_strangers_hold_up_nobody() {
    let place = Place::new();
    let server = place.issue("ca", "one", Role::Replica, HOUR);
    let server = Mutual::start(&server, Role::Replica).expect("server");
    let endpoint = serve(&server).await;
    let client = place.issue("ca", "one", Role::Gateway, HOUR);
    let client = Mutual::start(&client, Role::Gateway).expect("client");
    let authority = endpoint.uri().authority().expect("host:port").to_string();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(
            tokio::net::TcpStream::connect(&authority)
                .await
                .expect("connected"),
        );
    }
    let started = Instant::now();
    ask(&client, &endpoint, &[Role::Replica])
        .await
        .expect("served");
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    drop(silent);
}
