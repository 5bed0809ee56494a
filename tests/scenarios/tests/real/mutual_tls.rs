//! Goal: nothing between the services is open to strangers, and certificates change under load
//! without a message lost. Method: the local cluster as `chatterctl up` starts it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use proto::v1::admin_client::AdminClient;
use proto::v1::heartbeat_request::Kind;
use proto::v1::membership_client::MembershipClient;
use proto::v1::peer_client::PeerClient;
use proto::v1::{
    BackupRequest, GetServersRequest, GetStatusRequest, HeartbeatRequest, ReplicaHeartbeat,
    SetDrainingRequest,
};
use scenarios::client::GENERAL;
use scenarios::process::{binary, chatterctl};
use scenarios::{Client, Reply, ports};
use tls::authority::Authority;
use tls::{Identity, Mutual, Role};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;
use tonic::transport::Endpoint;

const SOON: Duration = Duration::from_secs(40);
const HOUR: Duration = Duration::from_secs(3600);

/// One after the other: rows of ports that are chosen at the same time would meet.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A local cluster; stopped when dropped.
struct Local {
    _alone: MutexGuard<'static, ()>,
    place: tempfile::TempDir,
    port: u16,
}

impl Local {
    async fn up() -> Result<Self> {
        let alone = ALONE.lock().await;
        let first = (0..24).map(|_| ports::free()).min().unwrap_or(12_000);
        let local = Self {
            _alone: alone,
            place: tempfile::tempdir()?,
            port: first,
        };
        let (port, base) = (first.to_string(), (first + 11).to_string());
        let data = local.data();
        let args = ["up", "--data", &data, "--port", &port, "--base-port", &base];
        let (said, up) = chatterctl(&args).await?;
        ensure!(up, "{said}");
        Ok(local)
    }

    fn data(&self) -> String {
        self.place.path().join("data").display().to_string()
    }

    fn tls(&self) -> PathBuf {
        Path::new(&self.data()).join("tls")
    }

    fn log(&self, name: &str) -> Result<String> {
        let path = Path::new(&self.data())
            .join("logs")
            .join(format!("{name}.log"));
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    fn gateway(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn membership(&self) -> Result<Endpoint> {
        Ok(Endpoint::from_shared(format!(
            "http://127.0.0.1:{}",
            self.port + 1
        ))?)
    }

    fn replica(&self) -> Result<Endpoint> {
        Ok(Endpoint::from_shared(format!(
            "http://127.0.0.1:{}",
            self.port + 11
        ))?)
    }

    /// Somebody with a certificate of `authority`, a directory below the cluster's.
    fn somebody(&self, authority: &str, cluster: &str, role: Role) -> Result<Mutual> {
        let authority = Authority::open_or_create(&self.tls().join(authority), cluster)?;
        let into = self.place.path().join(format!("{cluster}-{role}"));
        authority.issue(&Identity::new(cluster, role)?, HOUR, &into)?;
        Ok(Mutual::load(&into, &[role])?)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Ok(program) = binary("chatterctl") {
            let _ = Command::new(program)
                .args(["down", "--data", &self.data()])
                .output();
        }
    }
}

fn refused<T>(what: &str, answer: Result<T, tonic::Status>) -> Result<()> {
    match answer {
        Err(status) if status.code() == Code::PermissionDenied => Ok(()),
        Err(status) => bail!("{what}: {status}"),
        Ok(_) => bail!("{what}: it was done"),
    }
}

/// With a certificate of the right authority, and nothing but what a gateway needs.
async fn a_gateway_is_kept_to_its_own(local: &Local) -> Result<()> {
    let gateway = local.somebody("ca", "local", Role::Gateway)?;
    let replica = gateway.connect(&local.replica()?, &[Role::Replica]).await?;
    let mut admin = AdminClient::new(replica.clone());
    admin.get_status(GetStatusRequest {}).await?;
    refused("a backup", admin.backup(BackupRequest::default()).await)?;
    let stream = tokio_stream::iter(Vec::new());
    refused(
        "a peer's stream",
        PeerClient::new(replica).exchange(stream).await,
    )?;
    let channel = gateway
        .connect(&local.membership()?, &[Role::Membership])
        .await?;
    let mut membership = MembershipClient::new(channel);
    let servers = membership
        .get_servers(GetServersRequest {})
        .await?
        .into_inner();
    let drain = SetDrainingRequest {
        node: 1,
        draining: true,
    };
    refused("a drain", membership.set_draining(drain).await)?;
    let beat = HeartbeatRequest {
        cluster_id: servers.cluster_id,
        kind: Some(Kind::Replica(ReplicaHeartbeat::default())),
    };
    refused("a replica's heartbeat", membership.heartbeat(beat).await)?;
    let log = local.log("r1")?;
    ensure!(
        log.contains("a call was refused: not of its role"),
        "r1 says nothing of it"
    );

    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_reaches_no_service_and_a_gateway_only_what_is_its_own() -> Result<()> {
    let local = Local::up().await?;
    let strangers = [
        ("without TLS", Mutual::plain()),
        (
            "of another authority",
            local.somebody("another", "local", Role::Operator)?,
        ),
        (
            "of another cluster",
            local.somebody("ca", "elsewhere", Role::Operator)?,
        ),
    ];
    for (who, stranger) in strangers {
        let asked = async {
            let channel = stranger.connect(&local.replica()?, &Role::ALL).await?;
            let status = AdminClient::new(channel)
                .get_status(GetStatusRequest {})
                .await;
            anyhow::Ok(status?)
        };
        ensure!(asked.await.is_err(), "a replica answers to somebody {who}");
        let asked = async {
            let channel = stranger.connect(&local.membership()?, &Role::ALL).await?;
            let servers = MembershipClient::new(channel)
                .get_servers(GetServersRequest {})
                .await;
            anyhow::Ok(servers?)
        };
        ensure!(asked.await.is_err(), "membership answers to somebody {who}");
    }
    for name in ["r1", "membership"] {
        let log = local.log(name)?;
        ensure!(
            log.contains("a connection was refused"),
            "{name} says nothing of it"
        );
    }

    a_gateway_is_kept_to_its_own(&local).await?;
    let data = local.data();
    let (said, done) = chatterctl(&["node", "list", "--data", &data]).await?;
    ensure!(
        done,
        "the operator of this machine has a certificate: {said}"
    );
    let url = format!("http://127.0.0.1:{}", local.port + 1);
    let (said, done) = chatterctl(&["node", "list", "--membership", &url]).await?;
    ensure!(!done, "nobody asked for a certificate: {said}");
    Ok(())
}

async fn issue_all(local: &Local) -> Result<()> {
    let dir = local.tls().display().to_string();
    for role in Role::ALL {
        let args = [
            "ca",
            "issue",
            "--dir",
            &dir,
            "--cluster",
            "local",
            "--role",
            role.name(),
        ];
        let (said, done) = chatterctl(&args).await?;
        ensure!(done, "{said}");
    }
    Ok(())
}

fn everybody_took_it_up(local: &Local) -> Result<bool> {
    for name in ["membership", "r1", "r2", "r3", "gateway-1"] {
        if !local.log(name)?.contains("a new certificate is in use") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sends until it is acknowledged; its number in the room.
async fn say(alice: &mut Client, body: String, sent: &mut Vec<String>) -> Result<u64> {
    let Reply::Ack { seq, .. } = alice.send_until_acked(GENERAL, &body, SOON).await? else {
        bail!("{body} was refused");
    };
    sent.push(body);
    Ok(seq)
}

/// Every service gets a new certificate while people write, and then a replica is killed, so that
/// connections are made by the new ones.
/// What a port says to somebody without a certificate who asks for a page.
async fn says_to_a_stranger(port: u16) -> Result<Option<Vec<u8>>> {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        return Ok(None);
    };
    // It may be closed before all is written.
    let _ = stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    let mut said = vec![0; 64];
    let read = timeout(SOON, stream.read(&mut said)).await?;
    said.truncate(read.unwrap_or(0));
    Ok(Some(said))
}

/// Property: of all ports of a machine's cluster the public one alone speaks with strangers.
#[tokio::test(flavor = "multi_thread")]
async fn the_public_port_alone_answers_a_stranger() -> Result<()> {
    let local = Local::up().await?;
    let (mut open, mut answers) = (Vec::new(), Vec::new());
    // The public port, membership, and from the eleventh on the replicas.
    for port in local.port..local.port + 14 {
        let Some(said) = says_to_a_stranger(port).await? else {
            continue;
        };
        open.push(port - local.port);
        let head = String::from_utf8_lossy(&said[..said.len().min(12)]);
        println!("port +{}: {head:?}", port - local.port);
        if head.starts_with("HTTP/") {
            answers.push(port - local.port);
        } else {
            // Nothing, or an alert of TLS.
            ensure!(matches!(said.first(), None | Some(0x15)), "{said:?}");
        }
    }
    ensure!(answers == [0], "{answers:?} answer");
    for expected in [0, 1, 11, 12, 13] {
        ensure!(open.contains(&expected), "{open:?} are open");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_change_under_load_and_nothing_is_lost() -> Result<()> {
    let local = Local::up().await?;
    let data = local.data();
    let mut alice = Client::sign_up(&local.gateway(), "alice").await?;
    let mut sent = Vec::new();
    let mut last = 0;
    let (mut issued, mut killed) = (false, false);
    let deadline = Instant::now() + SOON;
    loop {
        let body = format!("message {}", sent.len());
        last = last.max(say(&mut alice, body, &mut sent).await?);
        if sent.len() == 50 {
            issue_all(&local).await?;
            issued = true;
        }
        let due = issued && !killed && sent.len() % 20 == 0;
        if due && everybody_took_it_up(&local)? {
            let (said, done) = chatterctl(&["kill", "r2", "--data", &data]).await?;
            ensure!(done, "{said}");
            killed = true;
        }
        // Long enough after the kill for the new process to speak with everybody.
        if killed
            && local
                .log("r2")?
                .matches("mutual TLS between the services")
                .count()
                > 1
        {
            break;
        }
        ensure!(
            Instant::now() < deadline,
            "no new certificate was taken up in {SOON:?}"
        );
        sleep(Duration::from_millis(2)).await;
    }
    for number in 0..100 {
        last = last.max(say(&mut alice, format!("at the end {number}"), &mut sent).await?);
    }
    let mut bob = Client::sign_up(&local.gateway(), "bob").await?;
    bob.read_to(GENERAL, last, SOON).await?;
    let (said, equal) = chatterctl(&["verify", "--data", &data]).await?;
    ensure!(equal, "{said}");
    alice.read_to(GENERAL, last, SOON).await?;
    let said = alice.bodies(GENERAL);
    let of_alice: Vec<&String> = said.iter().filter(|body| sent.contains(body)).collect();
    ensure!(
        of_alice == sent.iter().collect::<Vec<_>>(),
        "{} of {}",
        of_alice.len(),
        sent.len()
    );
    Ok(())
}
