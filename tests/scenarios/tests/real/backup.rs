//! Backups made under load, and new clusters made from them or from a survivor.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use scenarios::client::GENERAL;
use scenarios::pour::Pour;
use scenarios::process::{Process, Spec, chatterctl};
use scenarios::{Client, Cluster, Reply, ports};
use serde_json::Value;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(40);
/// A message from before the backup.
const FIRST: &str = "before the backup";

/// A cluster that `chatterctl up` started; stopped when dropped.
struct Local {
    data: PathBuf,
    port: u16,
}

impl Local {
    /// Starts it from data that is there.
    async fn up(data: &Path) -> Result<Self> {
        let text = data.to_str().context("a path of letters")?;
        let (said, up) = chatterctl(&["up", "--plain", "--data", text]).await?;
        let known: Value = serde_json::from_slice(&std::fs::read(data.join("cluster.json"))?)?;
        let port = known["plan"]["port"].as_u64().context("a port")?;
        let local = Self {
            data: data.to_owned(),
            port: u16::try_from(port)?,
        };
        ensure!(up, "{said}");
        Ok(local)
    }

    fn gateway(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn membership(&self) -> String {
        format!("http://127.0.0.1:{}", self.port + 1)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let data = self.data.display().to_string();
        if let Ok(program) = scenarios::process::binary("chatterctl") {
            // What cannot be stopped is seen by the next test that wants the ports.
            let _ = std::process::Command::new(program)
                .args(["down", "--data", &data])
                .output();
        }
    }
}

/// Ports for a local cluster: the gateway's, membership's behind it, and the replicas'.
fn some_ports() -> (String, String) {
    // Others take single ports from the same row: a gap keeps them away.
    let first = (0..24).map(|_| ports::free()).min().unwrap_or(12_000);
    (first.to_string(), (first + 11).to_string())
}

/// What people said: no event of another kind.
fn messages(events: &[Value]) -> Vec<&Value> {
    let said = |event: &&Value| event["kind"] == "message";
    events.iter().filter(said).collect()
}

/// Each message is there once.
fn require_once(events: &[Value]) -> Result<()> {
    let cids: BTreeSet<&str> = messages(events)
        .iter()
        .filter_map(|event| event["cid"].as_str())
        .collect();
    ensure!(
        cids.len() == messages(events).len(),
        "a message is there twice"
    );
    Ok(())
}

/// The page's rule (docs/protocol.md, `hello`): another cluster or epoch, and nothing counts that
/// was seen before.
async fn resync(client: &mut Client, gateway: &str) -> Result<Value> {
    let before = client.hello.clone();
    client.move_to(gateway);
    client.events.clear();
    client.connect().await?;
    let hello = client.hello.clone();
    ensure!(hello["cluster"] != before["cluster"], "{hello}");
    ensure!(
        hello["epoch"].as_u64() > before["epoch"].as_u64(),
        "{hello}"
    );
    Ok(hello)
}

/// While messages flow, a backup is made and the replicas are compared. The new cluster has
/// everything up to the backup once and in order, knows what was said under which `cid`, goes on
/// from there, tells clients to begin anew, and no node of the old one gets in.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_becomes_a_new_cluster() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    alice.connect().await?;
    let cid = Uuid::now_v7();
    let acked = alice.send(GENERAL, cid, FIRST, SOON).await?;
    let Reply::Ack { seq: first_seq, .. } = acked else {
        anyhow::bail!("{acked:?}");
    };
    let place = tempfile::tempdir()?;
    let target = place.path().join("backup");
    let backup = target.to_str().context("a path of letters")?.to_owned();
    let pour = Pour {
        author: alice.user,
        room: GENERAL,
        count: 2_000,
        bytes: 256,
    };
    let done = AtomicBool::new(false);
    let load = async {
        while !done.load(Ordering::Relaxed) {
            pour.run(&cluster, SOON).await?;
        }
        anyhow::Ok(())
    };
    let under_load = async {
        let made = copy_and_compare(&cluster, &alice, &backup).await;
        done.store(true, Ordering::Relaxed);
        made
    };
    let (known, poured) = tokio::join!(under_load, load);
    let known = known?;
    poured?;
    let whole = alice.whole_history(GENERAL).await?;
    let (said, again) = cluster.ctl(&["backup", &backup]).await?;
    ensure!(!again && said.contains("exists already"), "{said}");

    let data = place.path().join("new");
    let data_text = data.to_str().context("a path of letters")?.to_owned();
    let (port, base) = some_ports();
    let new = ["--data", &data_text, "--port", &port, "--base-port", &base];
    let restore = [&["restore", backup.as_str()][..], &new].concat();
    let (said, made) = chatterctl(&restore).await?;
    ensure!(made, "{said}");
    let (said, again) = chatterctl(&restore).await?;
    ensure!(!again && said.contains("already"), "{said}");
    for index in cluster.all() {
        cluster.replicas[index].process.kill();
    }
    let local = Local::up(&data).await?;
    resync(&mut alice, &local.gateway()).await?;
    require_restored(&mut alice, &whole, known, (cid, first_seq)).await?;
    let (said, equal) = chatterctl(&["verify", "--data", &data_text]).await?;
    ensure!(equal, "{said}");
    keeps_old_nodes_out(&mut cluster, &local).await
}

/// Everything up to some point is there, as it was, and the room goes on behind it. A message that
/// is sent once more under its `cid` is the one that is there.
async fn require_restored(
    alice: &mut Client,
    whole: &[Value],
    known: usize,
    (cid, first_seq): (Uuid, u64),
) -> Result<()> {
    let restored = alice.whole_history(GENERAL).await?;
    let kept = restored.len();
    ensure!(
        kept >= known,
        "acknowledged before the backup, and not in it"
    );
    ensure!(restored == whole[..kept], "it is what was there, in order");
    require_once(&restored)?;
    let repeated = alice.send(GENERAL, cid, FIRST, SOON).await?;
    ensure!(
        matches!(repeated, Reply::Ack { seq, dup: true, .. } if seq == first_seq),
        "{repeated:?}"
    );
    let next = alice.send_until_acked(GENERAL, "after it", SOON).await?;
    ensure!(
        matches!(next, Reply::Ack { seq, dup: false, .. } if seq == kept as u64 + 1),
        "{next:?}"
    );
    Ok(())
}

/// Makes a backup and compares the replicas while messages flow. So many events were there when it
/// began.
async fn copy_and_compare(cluster: &Cluster, alice: &Client, backup: &str) -> Result<usize> {
    let start = head(alice).await?;
    while head(alice).await? < start + 500 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let known = head(alice).await?;
    let (said, made) = cluster.ctl(&["backup", backup]).await?;
    ensure!(made, "{said}");
    let copied = head(alice).await?;
    let (compared, equal) = cluster.ctl(&["verify"]).await?;
    ensure!(equal && compared.contains("3 replicas"), "{compared}");
    let after = head(alice).await?;
    ensure!(
        known < copied && copied < after,
        "{known}, {copied}, {after}"
    );
    Ok(known)
}

/// How many events the room has.
async fn head(client: &Client) -> Result<usize> {
    let path = format!("/api/v1/rooms/{GENERAL}/events?after=0&limit=1");
    let page = client.get(&path).await?;
    Ok(usize::try_from(page["head"].as_u64().context("a head")?)?)
}

/// A replica of the old cluster that is pointed at the new one is refused, and says why.
async fn keeps_old_nodes_out(cluster: &mut Cluster, local: &Local) -> Result<()> {
    let old = &mut cluster.replicas[0].process;
    old.set_env("CHATTERBOX_REPLICA_MEMBERSHIP", &local.membership());
    old.restart()?;
    let deadline = tokio::time::Instant::now() + SOON;
    while !old.output().contains("belongs to another cluster") {
        ensure!(
            tokio::time::Instant::now() < deadline,
            "the old replica was not refused: {}",
            old.output()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let list = ["node", "list", "--membership", &local.membership()];
    let (said, listed) = chatterctl(&list).await?;
    ensure!(
        listed && !said.contains(&cluster.replicas[0].address),
        "{said}"
    );
    Ok(())
}

/// Two of three disks are gone for good. The third, once it is stopped and the sentence is typed,
/// becomes a new cluster with every message that was acknowledged; a note says what was done.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_quorum_is_rescued() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut alice = Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    alice.connect().await?;
    let leader = cluster.leader(SOON).await?;
    for number in 0..20 {
        let body = format!("message {number}");
        alice.send_until_acked(GENERAL, &body, SOON).await?;
    }
    let acked = alice.whole_history(GENERAL).await?;
    let place = tempfile::tempdir()?;
    let data = place.path().join("new");
    let data_text = data.to_str().context("a path of letters")?.to_owned();
    let (port, base) = some_ports();
    let survivor = cluster.replicas[leader].data.clone();
    let from = survivor.to_str().context("a path of letters")?.to_owned();
    let accepted = "I accept that messages of scenario may be lost";
    let new = ["--port", &port, "--base-port", &base, "--replicas", "1"];
    let new = [&["--data", data_text.as_str()][..], &new].concat();
    let rescue = [&["rescue", from.as_str()][..], &new].concat();
    let accepting = [&rescue[..], &["--i-accept", accepted]].concat();

    let (said, made) = chatterctl(&accepting).await?;
    ensure!(!made && said.contains("stop the replica first"), "{said}");
    cluster.replicas[leader].process.kill();
    let (said, made) = chatterctl(&accepting).await?;
    ensure!(
        !made && said.contains("majority"),
        "the others live: {said}"
    );
    for index in cluster.others(leader) {
        cluster.wipe(index)?;
    }
    let (said, made) = chatterctl(&rescue).await?;
    ensure!(
        !made && said.contains("WHAT MAY BE LOST"),
        "nothing was typed: {said}"
    );
    ensure!(
        said.contains("refused"),
        "it says who does not answer: {said}"
    );
    ensure!(!data.exists(), "nothing was made");
    let (said, made) = chatterctl(&accepting).await?;
    ensure!(made, "{said}");
    require_note(&survivor, accepted)?;
    ensure!(
        data.join("r1/origin.json").exists(),
        "the new data says it too"
    );

    let local = Local::up(&data).await?;
    resync(&mut alice, &local.gateway()).await?;
    let rescued = alice.whole_history(GENERAL).await?;
    ensure!(rescued == acked, "{} of {}", rescued.len(), acked.len());
    alice.send_until_acked(GENERAL, "it goes on", SOON).await?;
    let _voter = take_over(&local, place.path()).await?;
    let last = alice.send_until_acked(GENERAL, "and on", SOON).await?;
    let all = acked.len() as u64 + 2;
    ensure!(
        matches!(last, Reply::Ack { seq, .. } if seq == all),
        "{last:?}"
    );
    Ok(())
}

/// Beside the survivor's data stands what was done, and what was typed.
fn require_note(survivor: &Path, accepted: &str) -> Result<()> {
    let notes = std::fs::read_dir(survivor)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("rescue-"));
    let notes: Vec<String> = notes.collect();
    ensure!(notes.len() == 1, "{notes:?}");
    let note: Value = serde_json::from_slice(&std::fs::read(survivor.join(&notes[0]))?)?;
    ensure!(note["accepted"] == accepted, "{note}");
    ensure!(
        note["source"]["survivor"]["decided"].as_u64() > Some(1023),
        "{note}"
    );
    Ok(())
}

/// A replica on an empty directory joins a cluster of one, whose log begins behind the state that
/// it was made of, and votes in the place of the only voter.
async fn take_over(local: &Local, place: &Path) -> Result<Process> {
    let (address, membership) = (format!("127.0.0.1:{}", ports::free()), local.membership());
    let data = place.join("standby").display().to_string();
    let env = [
        ("CHATTERBOX_REPLICA_LISTEN", &address),
        ("CHATTERBOX_REPLICA_ADVERTISE", &address),
        ("CHATTERBOX_REPLICA_DATA", &data),
        ("CHATTERBOX_REPLICA_MEMBERSHIP", &membership),
    ];
    let standby = Process::start(Spec {
        name: "standby".to_owned(),
        binary: "replica",
        env: env
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).clone()))
            .collect(),
        log: place.join("standby.log"),
    })?;
    let deadline = tokio::time::Instant::now() + SOON;
    let node = loop {
        let list = ["node", "list", "--json", "--membership", &membership];
        let (said, _) = chatterctl(&list).await?;
        let known: Value = serde_json::from_str(&said).unwrap_or_default();
        let nodes = known["nodes"].as_array().cloned().unwrap_or_default();
        let new = nodes.iter().find(|node| node["voter"] == false);
        if let Some(name) = new.and_then(|node| node["name"].as_str()) {
            let replace = ["node", "replace", "r1", name, "--membership", &membership];
            if chatterctl(&replace).await?.1 {
                break name.to_owned();
            }
        }
        ensure!(
            tokio::time::Instant::now() < deadline,
            "nobody takes over: {said}\n{}",
            standby.output()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    // It may vote before it has installed the snapshot that it fetched.
    loop {
        let (said, equal) = chatterctl(&["verify", "--membership", &membership]).await?;
        if equal && said.contains(&node) {
            return Ok(standby);
        }
        ensure!(tokio::time::Instant::now() < deadline, "{said}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
