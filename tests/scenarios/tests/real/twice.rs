//! Two membership services at once: each hears everything and plans by itself, and yet each
//! change is made once, because a change names the epoch that it ends.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use proto::v1;
use proto::v1::admin_client::AdminClient;
use proto::v1::membership_client::MembershipClient;
use proto::v1::membership_server::{Membership, MembershipServer};
use scenarios::client::GENERAL;
use scenarios::process::{Process, Spec};
use scenarios::replacing::QUICK;
use scenarios::{Client, Cluster, ports};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

const SOON: Duration = Duration::from_secs(40);

/// Stands where replicas look for membership, and hands everything to several of them; the first
/// one answers.
#[derive(Clone, Default)]
struct Fork(Arc<Mutex<Vec<String>>>);

impl Fork {
    fn urls(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn add(&self, url: &str) {
        let mut urls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        urls.push(url.to_owned());
    }

    async fn each(&self) -> Result<Vec<MembershipClient<tonic::transport::Channel>>, Status> {
        let mut clients = Vec::new();
        for url in self.urls() {
            // One that is down hears nothing; the others do.
            clients.extend(MembershipClient::connect(url).await);
        }
        if clients.is_empty() {
            return Err(Status::unavailable("no membership behind the fork"));
        }
        Ok(clients)
    }
}

#[tonic::async_trait]
impl Membership for Fork {
    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        let request = request.into_inner();
        let mut answers = Vec::new();
        for mut client in self.each().await? {
            answers.push(client.register(request.clone()).await);
        }
        answers.swap_remove(0)
    }

    async fn heartbeat(
        &self,
        request: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let request = request.into_inner();
        let mut answers = Vec::new();
        for mut client in self.each().await? {
            answers.push(client.heartbeat(request.clone()).await);
        }
        answers.swap_remove(0)
    }

    async fn get_servers(
        &self,
        request: Request<v1::GetServersRequest>,
    ) -> Result<Response<v1::GetServersResponse>, Status> {
        let request = request.into_inner();
        let mut clients = self.each().await?;
        clients.swap_remove(0).get_servers(request).await
    }

    async fn set_draining(
        &self,
        _: Request<v1::SetDrainingRequest>,
    ) -> Result<Response<v1::SetDrainingResponse>, Status> {
        Err(Status::unimplemented("no replica drains"))
    }
}

/// A second membership service for the same cluster, which knows nothing at its start.
fn second(directory: &Path, replicas: usize) -> Result<(Process, String)> {
    let listen = format!("127.0.0.1:{}", ports::free());
    let data = directory.join("membership").display().to_string();
    let mut env = vec![
        ("LISTEN".to_owned(), listen.clone()),
        ("DATA".to_owned(), data),
        ("CLUSTER".to_owned(), "scenario".to_owned()),
        ("REPLICAS".to_owned(), replicas.to_string()),
    ];
    env.extend(QUICK.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let process = Process::start(Spec {
        name: "membership-2".to_owned(),
        binary: "membership",
        env: env
            .into_iter()
            .map(|(name, value)| (format!("CHATTERBOX_MEMBERSHIP_{name}"), value))
            .collect(),
        log: directory.join("membership-2.log"),
    })?;
    Ok((process, format!("http://{listen}")))
}

/// Both hear everything; a voter dies, and later another one. Each is replaced once, and the
/// epochs say that there were two changes and no more.
#[tokio::test(flavor = "multi_thread")]
async fn two_membership_services_make_each_change_once() -> Result<()> {
    let fork = Fork::default();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let server = Server::builder().add_service(MembershipServer::new(fork.clone()));
    let serving = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let directory = TempDir::new()?;
    let (second, second_url) = second(directory.path(), 3)?;

    let env = [("CHATTERBOX_REPLICA_MEMBERSHIP", url)];
    let mut cluster = Cluster::spawn_with(3, 1, &env).await?;
    fork.add(&cluster.membership_url);
    cluster.ready(SOON).await?;
    cluster.set_membership(&QUICK)?;
    fork.add(&second_url);
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    let mut dead = BTreeSet::new();
    for epoch in [2, 3] {
        cluster.warm_standby(SOON).await?;
        let leader = cluster.leader(SOON).await?;
        cluster.replicas[leader].process.kill();
        dead.insert(leader);
        let changed = cluster
            .until_voters(SOON, |found, _| found == epoch)
            .await?;
        ensure!(changed.voters.len() == 3, "{:?}", changed.voters);
        alice.send_until_acked(GENERAL, "on", SOON).await?;
        cluster.epoch_stays(epoch, Duration::from_secs(3)).await?;
    }
    let alive: Vec<usize> = cluster
        .all()
        .into_iter()
        .filter(|i| !dead.contains(i))
        .collect();
    cluster.equal_logs(&alive, SOON).await?;
    let mut other = MembershipClient::connect(second_url).await?;
    let known = other
        .get_servers(v1::GetServersRequest {})
        .await?
        .into_inner();
    ensure!(known.epoch == 3, "the second one knows it: {known:?}");
    let made = |words: &str| words.matches("done: replace").count();
    let log = cluster.membership.output() + &second.output();
    ensure!(made(&log) >= 2, "{log}");
    serving.abort();
    Ok(())
}

/// The rule by itself: of many changes of one epoch at the same time, one is made.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_changes_of_one_epoch_one_is_made() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut standbys = Vec::new();
    for _ in 0..3 {
        standbys.push(cluster.warm_standby(SOON).await?.1);
    }
    let leader = cluster.leader(SOON).await?;
    let address = format!("http://{}", cluster.replicas[leader].address);
    // One that has just joined may not have been heard by the leader yet.
    let mut admin = AdminClient::connect(address.clone()).await?;
    let deadline = std::time::Instant::now() + SOON;
    loop {
        let nodes = admin
            .list_nodes(v1::ListNodesRequest {})
            .await?
            .into_inner()
            .nodes;
        let recent = |node: &&v1::Node| node.last_heard_ms.is_some_and(|ago| ago < 300);
        let heard: Vec<u64> = nodes.iter().filter(recent).map(|node| node.node).collect();
        if standbys.iter().all(|standby| heard.contains(standby)) {
            break;
        }
        ensure!(std::time::Instant::now() < deadline, "{nodes:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let status = cluster.status(leader).await?;
    let follower = status.voters.iter().find(|node| **node != status.node);
    let ask = |new: u64| {
        let address = address.clone();
        let voters = status.voters.iter().filter(|node| Some(*node) != follower);
        let voters: Vec<u64> = voters.copied().chain([new]).collect();
        async move {
            let mut admin = AdminClient::connect(address).await?;
            let request = v1::ReconfigureRequest {
                expected_epoch: 1,
                voters,
                force: false,
            };
            Ok::<_, anyhow::Error>(admin.reconfigure(request).await)
        }
    };
    let (a, b, c) = tokio::join!(ask(standbys[0]), ask(standbys[1]), ask(standbys[2]));
    let answers = [a?, b?, c?];
    let made = answers.iter().filter(|answer| answer.is_ok()).count();
    ensure!(made == 1, "{answers:?}");
    for refused in answers.into_iter().filter_map(Result::err) {
        let code = refused.code();
        ensure!(
            code == Code::Aborted || code == Code::Unavailable,
            "{refused:?}"
        );
    }
    let now = cluster.until_voters(SOON, |_, _| true).await?;
    ensure!(now.epoch == 2, "{now:?}");
    let again = ask(standbys[1]).await?;
    ensure!(
        again
            .as_ref()
            .is_err_and(|status| status.code() == Code::Aborted),
        "the epoch is over: {again:?}"
    );
    Ok(())
}
