//! Goal: a dead voter is replaced through the leader, once, however many services see that it is
//! dead. Method: real services, heartbeats by hand, and a fake leader that keeps the contract of
//! `Admin.Reconfigure`.

#![allow(clippy::expect_used, reason = "a test may stop at once")]

mod double;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use double::{Disk, FakeAdmin};
use membership::change::Changer;
use membership::config::Options;
use membership::genesis::Genesis;
use membership::plan::Step;
use membership::service::Service;
use membership::store::Store;
use ops::shutdown::Token;
use proto::v1;
use proto::v1::admin_server::AdminServer;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

const STANDBY: u64 = 1030;

/// A leader over gRPC, and the genesis whose first voter it is.
struct Cluster {
    leader: Arc<Mutex<Disk>>,
    genesis: Genesis,
    stop: Token,
}

impl Cluster {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let leader = Arc::new(Mutex::new(Disk {
            id: "a".to_owned(),
            epoch: 1,
            voters: vec![1, 2, 3],
            ..Disk::default()
        }));
        let stop = Token::new();
        let server = Server::builder()
            .add_service(AdminServer::new(FakeAdmin(Arc::clone(&leader))))
            .serve_with_incoming_shutdown(
                TcpIncoming::from(listener).with_nodelay(Some(true)),
                stop.clone().cancelled_owned(),
            );
        tokio::spawn(server);
        // `new` orders by address; the fake ones sort behind.
        let disks = [("a", address), ("b", "x:2".into()), ("c", "x:3".into())];
        let disks = disks.map(|(disk, address)| (disk.to_owned(), address));
        let genesis = Genesis::new("id".to_owned(), "test".to_owned(), disks.to_vec());
        Self {
            leader,
            genesis,
            stop,
        }
    }

    fn service(&self) -> Service {
        let options = Options {
            cluster: "test".to_owned(),
            heartbeat_ms: 100,
            suspect_after_ms: 300,
            replace_after_ms: 300,
            change_pause_ms: 0,
            ..Options::default()
        };
        Service::new(&options, Some((self.genesis.clone(), true)))
    }

    /// One heartbeat of everybody but r3, which the others miss.
    fn beat(&self, service: &Service) {
        let (epoch, voters) = {
            let leader = self.leader.lock().expect("lock");
            (leader.epoch, leader.voters.clone())
        };
        for (node, disk) in [(1, "a"), (2, "b"), (STANDBY, "d")] {
            let address = match self.genesis.voter(disk) {
                Some(voter) => voter.address.clone(),
                None => "x:4".to_owned(),
            };
            let missed = v1::MissedVoter {
                node: 3,
                for_ms: 5000,
            };
            let missed = voters.contains(&3).then_some(missed);
            let beat = v1::ReplicaHeartbeat {
                node,
                disk_id: disk.to_owned(),
                address,
                leading: node == 1,
                decided: 2000,
                applied: 2000,
                epoch,
                voters: voters.clone(),
                process: node,
                missed: missed.into_iter().collect(),
                epoch_ready: true,
            };
            service.replica_heartbeat("id", beat).expect("heard");
        }
    }

    /// Beats until the service has decided on a change.
    async fn until_due(&self, service: &Service) -> membership::service::Order {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            self.beat(service);
            if let Some(order) = service.next_change() {
                return order;
            }
            assert!(Instant::now() < deadline, "{}", service.servers().plan);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Both decide the same from the same news; the leader makes the change of the first one and
/// refuses that of the second, which then knows.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_services_one_replaces_the_dead_voter() {
    let cluster = Cluster::start().await;
    let (first, second) = (cluster.service(), cluster.service());
    let order = cluster.until_due(&first).await;
    let (old, new) = (3, STANDBY);
    assert_eq!(order.step, Step::Replace { old, new });
    assert_eq!((order.epoch, &order.voters), (1, &vec![1, 2, STANDBY]));
    assert!(first.next_change().is_none(), "one at a time");
    first.changed(&order, Err("a test took it".to_owned()));
    let planned = first.servers().plan;
    assert!(planned.contains("a test took it"), "{planned}");
    assert!(first.next_change().is_none(), "not at once after a failure");

    let late = cluster.until_due(&second).await;
    second.changed(&late, Err("a test took it".to_owned()));
    let deadline = Instant::now() + Duration::from_secs(20);
    while cluster.leader.lock().expect("lock").epoch == 1 {
        cluster.beat(&first);
        Changer::new(first.clone(), tls::Mutual::plain())
            .look()
            .await;
        assert!(Instant::now() < deadline, "{}", first.servers().plan);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let made = first.servers().last_change;
    assert!(
        made.contains("r3 (x:3)") && made.contains("r1030 (x:4)"),
        "{made}"
    );

    // The second one still believes in epoch 1: it asks, and is refused.
    while cluster.leader.lock().expect("lock").asked == 1 {
        Changer::new(second.clone(), tls::Mutual::plain())
            .look()
            .await;
        if !second.servers().plan.starts_with("replace") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cluster.beat(&second);
    let known = second.servers();
    assert_eq!(known.epoch, 2, "{known:?}");
    assert_eq!(cluster.leader.lock().expect("lock").epoch, 2);
    assert!(second.next_change().is_none(), "{}", second.servers().plan);
    cluster.stop.cancel();
}

/// Drained places are remembered by a new process on the same files.
#[tokio::test]
async fn a_drained_place_survives_a_restart() {
    let cluster = Cluster::start().await;
    let directory = tempfile::tempdir().expect("directory");
    let store = Store::open(directory.path()).expect("open");
    let service = cluster.service();
    cluster.beat(&service);
    let place = service.set_draining(&store, STANDBY, true).await;
    assert_eq!(place.expect("known"), "x:4");
    let unknown = service.set_draining(&store, 77, true).await;
    assert!(unknown.expect_err("unknown").to_string().contains("r77"));

    let again = cluster.service();
    again.drain(store.load_draining().expect("load"));
    cluster.beat(&again);
    let drained = |service: &Service| -> Vec<u64> {
        let servers = service.servers().servers;
        let drained = servers.iter().filter(|server| server.draining);
        drained.map(|server| server.node).collect()
    };
    assert_eq!(drained(&again), [STANDBY]);
    let lifted = again.set_draining(&store, STANDBY, false).await;
    lifted.expect("known");
    assert_eq!(drained(&again), [0_u64; 0]);
    assert!(store.load_draining().expect("load").is_empty());
    cluster.stop.cancel();
}
