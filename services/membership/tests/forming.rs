//! Goal: whatever dies at whatever moment, one set of disks makes at most one cluster, and with
//! all its disks it makes one. Method: fake replicas that keep the contract of `Admin`, a real
//! service with a real file, and a kill after every single action.

#![allow(clippy::expect_used, reason = "a test may stop at once")]

mod double;

use std::path::Path;
use std::sync::{Arc, Mutex};

use double::{Disk, FakeAdmin};
use membership::config::Options;
use membership::execute::Executor;
use membership::forming::Action;
use membership::genesis::Genesis;
use membership::rpc;
use membership::service::{Registration, Service};
use membership::store::Store;
use ops::shutdown::Token;
use proto::v1;
use proto::v1::admin_server::AdminServer;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// A fake replica: its disk survives, whatever happens to the membership service.
#[derive(Clone)]
struct Node {
    disk: Arc<Mutex<Disk>>,
    address: String,
    /// Stops the server when the test ends.
    stop: Token,
}

impl Node {
    async fn start(id: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let disk = Arc::new(Mutex::new(Disk {
            id: id.to_owned(),
            ..Disk::default()
        }));
        let stop = Token::new();
        let server = Server::builder()
            .add_service(AdminServer::new(FakeAdmin(Arc::clone(&disk))))
            .serve_with_incoming_shutdown(
                TcpIncoming::from(listener).with_nodelay(Some(true)),
                stop.clone().cancelled_owned(),
            );
        tokio::spawn(server);
        Self {
            disk,
            address,
            stop,
        }
    }

    fn disk(&self) -> Disk {
        self.disk.lock().expect("lock").clone()
    }

    fn registration(&self) -> Registration {
        let disk = self.disk();
        Registration {
            disk: disk.id,
            address: self.address.clone(),
            version: "test".to_owned(),
            genesis: disk.genesis.map(|genesis| (genesis, disk.confirmed)),
            node: 0,
            process: 0,
        }
    }
}

/// The rule: whoever confirmed, every disk that its genesis names held it at that moment. A
/// disk never gives a genesis up, so it is enough to look after every action.
fn check(nodes: &[Node]) {
    let disks: Vec<Disk> = nodes.iter().map(Node::disk).collect();
    let mut clusters: Vec<&str> = Vec::new();
    for genesis in disks
        .iter()
        .filter(|d| d.confirmed)
        .filter_map(|d| d.genesis.as_ref())
    {
        clusters.push(&genesis.cluster_id);
        for voter in &genesis.voters {
            let holder = disks
                .iter()
                .find(|disk| disk.id == voter.disk_id)
                .expect("a known disk");
            assert_eq!(
                holder.genesis.as_ref(),
                Some(genesis),
                "{} votes too early",
                voter.node
            );
        }
    }
    clusters.dedup();
    assert!(clusters.len() <= 1, "two clusters: {clusters:?}");
}

/// A membership process that a test may kill by dropping it.
struct Process {
    service: Service,
    executor: Executor,
}

impl Process {
    fn start(directory: &Path, replicas: usize) -> Self {
        let options = Options {
            cluster: "test".to_owned(),
            replicas,
            data: directory.to_owned(),
            ..Options::default()
        };
        let store = Store::open(directory).expect("open");
        let stored = store.load("test").expect("load");
        let service = Service::new(&options, stored);
        Self {
            executor: Executor::new(service.clone(), store, tls::Mutual::plain()),
            service,
        }
    }

    /// One round: everybody registers, then one action after the other, in an order given by
    /// `seed`. Gives up after `budget` actions, as a killed process does.
    async fn round(&self, nodes: &[Node], seed: &mut u64, budget: &mut usize) {
        for node in nodes {
            // A refusal is a valid answer here; what matters is checked after each action.
            let _ = self.service.register(node.registration());
        }
        let mut actions: Vec<Action> = self.service.next_actions();
        while !actions.is_empty() && *budget > 0 {
            let action = actions.swap_remove(random(seed) % actions.len());
            self.executor.perform(action).await;
            *budget -= 1;
            check(nodes);
        }
    }
}

/// A small generator, so that every run is the same run.
fn random(seed: &mut u64) -> usize {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*seed >> 33).expect("31 bits")
}

async fn nodes(count: usize) -> Vec<Node> {
    let mut nodes = Vec::new();
    for number in 0..count {
        nodes.push(Node::start(&format!("disk{number}")).await);
    }
    nodes
}

fn stop(nodes: &[Node]) {
    for node in nodes {
        node.stop.cancel();
    }
}

fn formed(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| node.disk().confirmed)
}

/// Runs until formed. Ten rounds are enough for five stages.
async fn finish(directory: &Path, nodes: &[Node], seed: &mut u64) -> Process {
    let process = Process::start(directory, nodes.len());
    for _ in 0..10 {
        process.round(nodes, seed, &mut usize::MAX.clone()).await;
        if formed(nodes) {
            break;
        }
    }
    process
}

/// For 1 to 3 replicas: kill after action 0, 1, 2 …, with and without losing the file, then
/// let a second process finish.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_after_every_action_makes_one_cluster() {
    let mut seed = 7;
    for count in 1..=3 {
        for lose_file in [false, true] {
            for kill_after in 0.. {
                let directory = tempfile::tempdir().expect("directory");
                let nodes = nodes(count).await;
                let process = Process::start(directory.path(), count);
                let mut budget = kill_after;
                for _ in 0..10 {
                    process.round(&nodes, &mut seed, &mut budget).await;
                }
                drop(process);
                if lose_file {
                    let _ = std::fs::remove_file(directory.path().join("membership.json"));
                }
                let killed = budget == 0;
                let process = finish(directory.path(), &nodes, &mut seed).await;
                assert!(
                    formed(&nodes),
                    "{count} {kill_after}: {:?}",
                    process.service.servers()
                );
                let servers = process.service.servers();
                assert!(
                    servers.formed && servers.servers.len() == count,
                    "{servers:?}"
                );
                stop(&nodes);
                if !killed {
                    break;
                }
            }
        }
    }
}

/// Spare nodes, nodes that are silent, many kills, lost files: never two clusters.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_kills_and_silences_never_make_two_clusters() {
    for first_seed in 0..60 {
        let mut seed = first_seed;
        let directory = tempfile::tempdir().expect("directory");
        let nodes = nodes(5).await;
        for _ in 0..6 {
            let process = Process::start(directory.path(), 3);
            let mut budget = random(&mut seed) % 12;
            for _ in 0..4 {
                let heard: Vec<Node> = nodes
                    .iter()
                    .filter(|_| !random(&mut seed).is_multiple_of(4))
                    .cloned()
                    .collect();
                for node in &heard {
                    let _ = process.service.register(node.registration());
                }
                let mut actions = process.service.next_actions();
                while !actions.is_empty() && budget > 0 {
                    let action = actions.swap_remove(random(&mut seed) % actions.len());
                    process.executor.perform(action).await;
                    budget -= 1;
                    check(&nodes);
                }
            }
            drop(process);
            if random(&mut seed).is_multiple_of(2) {
                let _ = std::fs::remove_file(directory.path().join("membership.json"));
            }
        }
        stop(&nodes);
    }
}

/// Two processes at once (an old one that was believed dead): at most one wins, and both say
/// what they see.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_at_once_make_at_most_one_cluster() {
    for first_seed in 0..60 {
        let mut seed = first_seed;
        let (one, two) = (
            tempfile::tempdir().expect("dir"),
            tempfile::tempdir().expect("dir"),
        );
        let nodes = nodes(3).await;
        let processes = [Process::start(one.path(), 3), Process::start(two.path(), 3)];
        for _ in 0..20 {
            let process = &processes[random(&mut seed) % 2];
            process.round(&nodes, &mut seed, &mut 1).await;
        }
        // However it stood, both go on undisturbed: then it is formed, or somebody says why not.
        for process in processes.iter().cycle().take(10) {
            process
                .round(&nodes, &mut seed, &mut usize::MAX.clone())
                .await;
        }
        let words = processes
            .each_ref()
            .map(|process| process.service.servers().waiting_for);
        let said = words
            .iter()
            .any(|words| words.contains("two first configurations"));
        assert!(formed(&nodes) || said, "{words:?}");
        stop(&nodes);
    }
}

/// Two replicas that advertise one address by mistake: the answer of one disk does not count
/// for the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_for_two_disks_forms_nothing() {
    let directory = tempfile::tempdir().expect("directory");
    let nodes = nodes(2).await;
    let process = Process::start(directory.path(), 2);
    process
        .service
        .register(nodes[0].registration())
        .expect("registers");
    let mut liar = nodes[1].registration();
    // Another spelling of the same place, so that the registry cannot see it.
    liar.address = nodes[0].address.replace("127.0.0.1", "localhost");
    for _ in 0..5 {
        process.service.register(liar.clone()).expect("registers");
        for action in process.service.next_actions() {
            process.executor.perform(action).await;
        }
    }
    assert!(nodes.iter().all(|node| node.disk().genesis.is_none()));
    let words = process.service.servers().waiting_for;
    assert!(words.contains("advertise one address"), "{words}");
    stop(&nodes);
}

fn beat(cluster_id: &str, node: u64, disk_id: &str) -> v1::HeartbeatRequest {
    v1::HeartbeatRequest {
        cluster_id: cluster_id.to_owned(),
        kind: Some(v1::heartbeat_request::Kind::Replica(v1::ReplicaHeartbeat {
            node,
            disk_id: disk_id.to_owned(),
            address: "elsewhere:9".to_owned(),
            leading: true,
            ..Default::default()
        })),
    }
}

/// Over real gRPC, with the loop running: registrations form a cluster, heartbeats carry
/// addresses, strangers are refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serves_over_grpc() {
    let directory = tempfile::tempdir().expect("directory");
    let nodes = nodes(3).await;
    let process = Process::start(directory.path(), 3);
    let shutdown = Token::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let server = tokio::spawn(rpc::serve(
        process.service.clone(),
        Store::open(directory.path()).expect("open"),
        tls::Mutual::plain(),
        listener,
        shutdown.clone(),
    ));
    let executor = tokio::spawn(process.executor.clone().run(shutdown.clone()));
    let mut client = v1::membership_client::MembershipClient::connect(url)
        .await
        .expect("connects");
    for node in &nodes {
        let request = v1::RegisterRequest {
            disk_id: node.disk().id,
            address: node.address.clone(),
            ..Default::default()
        };
        client.register(request).await.expect("registers");
    }
    while !formed(&nodes) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let genesis = nodes[0].disk().genesis.expect("formed");
    let named = &genesis.voters[0];
    let ours = beat(&genesis.cluster_id, 1, &named.disk_id);
    let answer = client.heartbeat(ours).await.expect("accepted").into_inner();
    assert_eq!(answer.servers[0].address, "elsewhere:9");
    for wrong in [
        beat("another", 1, &named.disk_id),
        beat(&genesis.cluster_id, 1, &genesis.voters[1].disk_id),
    ] {
        let refused = client.heartbeat(wrong).await.expect_err("refused");
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused}");
    }
    let stranger = v1::RegisterRequest {
        disk_id: "x".to_owned(),
        address: "x:1".to_owned(),
        genesis: Some(
            Genesis::new("g".into(), "test".into(), vec![("x".into(), "x:1".into())]).into(),
        ),
        ..Default::default()
    };
    let refused = client.register(stranger).await.expect_err("refused");
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    assert!(
        refused.message().contains("belongs to cluster"),
        "{refused}"
    );
    let servers = client
        .get_servers(v1::GetServersRequest {})
        .await
        .expect("answers");
    let servers = servers.into_inner();
    assert!(
        servers.formed && servers.servers[0].leading && servers.epoch == 1,
        "{servers:?}"
    );
    drop(client);
    shutdown.cancel();
    server.await.expect("joined").expect("served");
    executor.await.expect("joined");
    stop(&nodes);
}
