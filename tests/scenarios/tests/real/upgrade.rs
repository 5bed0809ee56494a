//! Programs of this version on data of an older one.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use scenarios::upgrade::{self, Formats, Person, says_all};
use scenarios::{Client, Cluster, Reply};
use serde_json::Value;
use workload::wire::Account;

const SOON: Duration = Duration::from_secs(30);

/// Property: whatever version wrote the data, nothing of it is lost, and people go on where they
/// were. For each fixture: every session is still one, every password signs in, every answer that
/// was given is given again, a message follows, one replica after the other is restarted, the
/// replicas stay equal, and their files have the present formats, of which a fixture is kept.
#[tokio::test(flavor = "multi_thread")]
async fn data_of_each_kept_format_go_on() -> Result<()> {
    let kept = upgrade::kept()?;
    ensure!(!kept.is_empty(), "no fixture is kept");
    for path in kept {
        go_on(&path)
            .await
            .with_context(|| format!("with {}", path.display()))?;
    }
    Ok(())
}

async fn go_on(path: &Path) -> Result<()> {
    let (directory, seen) = upgrade::unpack(path)?;
    let mut cluster = Cluster::start_from(directory, upgrade::REPLICAS).await?;
    let base = cluster.gateway_urls[0].clone();
    for person in &seen.people {
        sees_all(&base, person).await?;
    }
    let mut clients = Vec::new();
    for person in &seen.people {
        clients.push((return_to(&base, person).await?, person));
    }
    for (client, person) in &mut clients {
        client.connect().await?;
        for (room, history) in &person.histories {
            goes_on(client, *room, history).await?;
        }
    }
    for index in cluster.all() {
        cluster.replicas[index].process.stop(SOON)?;
        cluster.replicas[index].process.restart()?;
        cluster
            .until(index, SOON, |status| status.admitted && status.leader != 0)
            .await?;
        let (client, _) = &mut clients[0];
        client
            .send_until_acked(1, &format!("r{} is back", index + 1), SOON)
            .await?;
    }
    cluster.equal_chains(&cluster.all(), SOON).await?;
    cluster.stop()?;
    for replica in &cluster.replicas {
        let formats = Formats::of(&replica.data)?;
        ensure!(
            formats.path().exists(),
            "{formats:?}: no data of these formats are kept; `cargo run -p scenarios --bin \
             fixture` makes {}",
            formats.path().display()
        );
    }
    Ok(())
}

/// With the session of then: the same answers.
async fn sees_all(base: &str, person: &Person) -> Result<()> {
    let account = Account {
        user: person.user,
        token: person.token.clone(),
    };
    let client = Client::with(base, account);
    for (path, then) in &person.answers {
        let now = client.get(path).await?;
        says_all(then, &now, &format!("{}: {path}", person.name))?;
    }
    for (room, then) in &person.histories {
        let now = client.whole_history(*room).await?;
        let place = format!("{}: room {room}", person.name);
        let then = Value::Array(then.clone());
        says_all(&then, &Value::Array(now), &place)?;
    }
    Ok(())
}

/// With the password, or without one with the session of then.
async fn return_to(base: &str, person: &Person) -> Result<Client> {
    let account = match &person.password {
        Some(password) => {
            Account::sign_in(&[base.to_owned()], &person.name, password, SOON).await?
        }
        None => Account {
            user: person.user,
            token: person.token.clone(),
        },
    };
    ensure!(account.user == person.user, "{} is another", person.name);
    Ok(Client::with(base, account))
}

/// A message gets the number after what is there; an archived room takes none.
async fn goes_on(client: &mut Client, room: u64, history: &[Value]) -> Result<()> {
    let archived = history
        .last()
        .is_some_and(|last| last["kind"] == "archived");
    if archived {
        return Ok(());
    }
    let reply = client
        .send_until_acked(room, "and on it goes", SOON)
        .await?;
    let head = u64::try_from(history.len())?;
    ensure!(
        matches!(reply, Reply::Ack { seq, dup: false, .. } if seq > head),
        "room {room} had {head} events: {reply:?}"
    );
    Ok(())
}
