//! The first and the later starts of a replica: genesis, health, and what must not be opened.

#![allow(
    clippy::expect_used,
    reason = "a test that meets the unexpected has failed"
)]

mod support;

use std::fs;
use std::time::Duration;

use ops::shutdown::Token;
use proto::v1 as pb;
use proto::v1::get_status_response::Phase;
use support::{Cluster, eventually, options, sign_up};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

async fn health(cluster: &Cluster, index: usize, service: &str) -> ServingStatus {
    let mut client = HealthClient::new(cluster.channel(index).await);
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    eventually("the health service knows the name", async || {
        let answer = client.check(request.clone()).await.ok()?;
        Some(answer.into_inner().status())
    })
    .await
}

fn install(genesis: &pb::Genesis) -> pb::InstallGenesisRequest {
    pb::InstallGenesisRequest {
        genesis: Some(genesis.clone()),
    }
}

async fn refuses(cluster: &Cluster, index: usize, genesis: &pb::Genesis) {
    let answer = cluster
        .admin(index)
        .await
        .install_genesis(install(genesis))
        .await;
    let refused = answer.expect_err("this disk cannot take it");
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
}

async fn takes(cluster: &Cluster, index: usize, genesis: &pb::Genesis) {
    let answer = cluster
        .admin(index)
        .await
        .install_genesis(install(genesis))
        .await;
    answer.expect("the same one again is fine");
}

/// A disk takes one genesis for ever: through repetitions, restarts and membership.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_genesis_is_for_ever() {
    let mut cluster = Cluster::unformed(1);
    let genesis = cluster.genesis().await;
    let other = cluster.genesis().await;
    assert_ne!(genesis.cluster_id, other.cluster_id);
    let confirm = pb::ConfirmGenesisRequest {
        cluster_id: genesis.cluster_id.clone(),
    };
    let early = cluster.admin(0).await.confirm_genesis(confirm).await;
    assert_eq!(
        early.expect_err("nothing to confirm").code(),
        Code::FailedPrecondition
    );
    let mut for_others = genesis.clone();
    for_others.voters[0].disk_id = uuid::Uuid::new_v4().to_string();
    refuses(&cluster, 0, &for_others).await;

    takes(&cluster, 0, &genesis).await;
    takes(&cluster, 0, &genesis).await;
    refuses(&cluster, 0, &other).await;
    cluster.kill(0);
    cluster.restart(0).await;
    let identity = cluster
        .admin(0)
        .await
        .get_identity(pb::GetIdentityRequest {})
        .await;
    let identity = identity.expect("always answered").into_inner();
    assert_eq!(
        (identity.genesis, identity.confirmed),
        (Some(genesis.clone()), false)
    );

    cluster.confirm(0, &genesis).await;
    cluster.commit(sign_up("alice")).await;
    takes(&cluster, 0, &genesis).await;
    cluster.confirm(0, &genesis).await;
    refuses(&cluster, 0, &other).await;
}

/// Nobody votes before the confirmation, and health says when clients are served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_votes_before_the_confirmation() {
    let cluster = Cluster::unformed(3);
    assert_eq!(health(&cluster, 0, "").await, ServingStatus::NotServing);
    assert_eq!(cluster.status(0).await.phase(), Phase::Unformed);
    let refused = cluster.chat(0).await.tail(pb::TailRequest::default()).await;
    assert_eq!(refused.expect_err("unformed").code(), Code::Unavailable);

    let genesis = cluster.genesis().await;
    for index in 0..3 {
        takes(&cluster, index, &genesis).await;
    }
    cluster.confirm(0, &genesis).await;
    eventually("it is a member", async || {
        (cluster.status(0).await.phase() == Phase::Member).then_some(())
    })
    .await;
    // Several elections' time.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        cluster.status(0).await.leader,
        0,
        "the others do not vote yet"
    );
    assert_eq!(health(&cluster, 0, "").await, ServingStatus::NotServing);

    cluster.confirm(1, &genesis).await;
    cluster.confirm(2, &genesis).await;
    cluster.commit(sign_up("alice")).await;
    for service in [
        "",
        "chatterbox.v1.Chat",
        "chatterbox.v1.Peer",
        "chatterbox.v1.Admin",
    ] {
        eventually("it serves", async || {
            (health(&cluster, 0, service).await == ServingStatus::Serving).then_some(())
        })
        .await;
    }
}

async fn start_fails(data: &std::path::Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let run = replica::run(options(data, "127.0.0.1:0"), listener, Token::new());
    let ended = tokio::time::timeout(Duration::from_secs(5), run).await;
    ops::errors::chain(
        &ended
            .expect("it ends at once")
            .expect_err("it cannot start"),
    )
}

/// Two replicas never share a directory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_in_use_is_refused() {
    let cluster = Cluster::unformed(1);
    cluster.status(0).await;
    let said = start_fails(cluster.data[0].path()).await;
    assert!(said.contains("another replica"), "{said}");
    assert_eq!(
        cluster.status(0).await.phase(),
        Phase::Unformed,
        "the first one lives"
    );
}

/// What is no log of ours is left as it is. The replica stays up and says why it does nothing:
/// in its status, on its health service, and to whoever asks for anything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_file_is_quarantined_and_kept() {
    let data = TempDir::new().expect("a directory");
    let garbage = vec![0x5a; 8192];
    fs::write(data.path().join("log.db"), &garbage).expect("written");
    let mut cluster = Cluster::on(vec![data]);
    // It is served from the beginning, and says that it starts while it looks.
    let status = eventually("it has looked at its files", async || {
        let status = cluster.status(0).await;
        (status.phase() != Phase::Starting).then_some(status)
    })
    .await;
    assert_eq!(status.phase(), Phase::Quarantined);
    assert!(status.why.contains("log.db"), "{}", status.why);
    assert!(!status.remedy.is_empty());
    assert_eq!(health(&cluster, 0, "").await, ServingStatus::NotServing);
    let refused = cluster.chat(0).await.tail(pb::TailRequest::default()).await;
    let refused = refused.expect_err("it serves nothing");
    assert!(refused.message().contains("quarantine"), "{refused}");
    let process = cluster.processes[0].take().expect("it runs");
    process.stop().await.expect("a clean end");
    assert_eq!(
        fs::read(cluster.data[0].path().join("log.db")).expect("there"),
        garbage
    );
}

/// A directory that cannot be made names itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unusable_directory_is_named() {
    let data = TempDir::new().expect("a directory");
    let file = data.path().join("file");
    fs::write(&file, "not a directory").expect("written");
    let said = start_fails(&file.join("data")).await;
    assert!(
        said.contains("file/data") && said.contains("disk"),
        "{said}"
    );
}

/// Without membership a new replica waits, and stops when told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_replica_waits_for_membership() {
    let mut cluster = Cluster::unformed(1);
    assert_eq!(cluster.status(0).await.phase(), Phase::Unformed);
    cluster.processes[0]
        .take()
        .expect("it runs")
        .stop()
        .await
        .expect("a clean end");
}

/// A stranger at membership's address, who answers whatever is asked, does not keep a replica: it
/// connects anew, to whoever has the address then. (Seen on Kubernetes, where a replica that had
/// connected before the address led to membership asked the wrong one for ever.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_at_the_address_of_membership_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let (count, mut connections) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.send_modify(|count| *count += 1);
            // It speaks gRPC and knows no membership.
            let (_, stranger) = tonic_health::server::health_reporter();
            let one = tokio_stream::once(Ok::<_, std::io::Error>(stream));
            let serving = tonic::transport::Server::builder().add_service(stranger);
            tokio::spawn(serving.serve_with_incoming(one));
        }
    });
    let directory = TempDir::new().expect("a directory");
    let mut settings = options(directory.path(), "127.0.0.1:0");
    settings.membership = url;
    let own = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let stop = Token::new();
    let replica = tokio::spawn(replica::run(settings, own, stop.clone()));
    let asked_again = connections.wait_for(|count| *count >= 3);
    let asked_again = tokio::time::timeout(Duration::from_secs(30), asked_again).await;
    asked_again.expect("three connections").expect("counted");
    stop.cancel();
    replica.await.expect("no panic").expect("a clean end");
}
