//! Data of a version, kept: the directories of a whole cluster with something of everything that
//! people do, and what they saw of it. Later versions are started on them (tests/real/upgrade.rs).
//!
//! `cargo run -p scenarios --bin fixture` makes one; its name says the formats of its files.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;
use workload::wire::Account;

use crate::client::GENERAL;
use crate::{Client, Cluster, Reply};

/// How many replicas each kept cluster has.
pub const REPLICAS: usize = 3;
/// A fixture lies in the repository for ever.
const FIXTURE_BYTES_MAX: u64 = 300 * 1024;
/// What people saw, beside the directories.
const SEEN: &str = "seen.json";
const SOON: Duration = Duration::from_secs(20);
/// The people of a fixture, and the password that the first two have.
const NAMES: [&str; 3] = ["Anna", "Ben", "Carla"];
const PASSWORD: &str = "a password of a fixture";

/// What the people of a fixture saw before everything was stopped.
#[derive(Debug, Serialize, Deserialize)]
pub struct Seen {
    /// All of them.
    pub people: Vec<Person>,
}

/// One person: how to come back, and what there was.
#[derive(Debug, Serialize, Deserialize)]
pub struct Person {
    /// The name of the account.
    pub name: String,
    /// Its password; without one there is the session alone.
    pub password: Option<String>,
    /// The account.
    pub user: u64,
    /// A session.
    pub token: String,
    /// Answers of `GET`, by path.
    pub answers: Vec<(String, Value)>,
    /// Whole histories by room.
    pub histories: Vec<(u64, Vec<Value>)>,
}

/// The formats of the files of a replica: `state.db` and `log.db`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Formats {
    /// `PRAGMA user_version` of `state.db`.
    pub state: u32,
    /// `PRAGMA user_version` of `log.db`.
    pub log: u32,
}

impl Formats {
    /// Those of the replica whose directory this is.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn of(replica: &Path) -> Result<Self> {
        // Of a copy: to open a file may change it, and its newest pages are in the one beside it.
        let copies = TempDir::new()?;
        let version = |name: &str| -> Result<u32> {
            for file in [name.to_owned(), format!("{name}-wal")] {
                let from = replica.join(&file);
                if from.exists() {
                    std::fs::copy(&from, copies.path().join(&file))
                        .with_context(|| format!("copy {}", from.display()))?;
                }
            }
            let connection = rusqlite::Connection::open(copies.path().join(name))?;
            Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
        };
        Ok(Self {
            state: version("state.db")?,
            log: version("log.db")?,
        })
    }

    /// Where the fixture of these formats lies.
    pub fn path(self) -> PathBuf {
        folder().join(format!("state{}-log{}.tar.gz", self.state, self.log))
    }
}

/// Where the fixtures lie.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// All fixtures that are kept, by name.
///
/// # Errors
/// When their folder cannot be read.
pub fn kept() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder())? {
        let path = entry?.path();
        found.extend(path.to_string_lossy().ends_with(".tar.gz").then_some(path));
    }
    found.sort();
    Ok(found)
}

/// Has a new cluster live through something of everything, stops it, and keeps its data: returns
/// the path of the fixture.
///
/// # Errors
/// When the cluster does not do what it should, or its data are larger than a fixture may be.
pub async fn make() -> Result<PathBuf> {
    let mut cluster = Cluster::start(REPLICAS).await?;
    let base = cluster.gateway_urls[0].clone();
    let mut people = Vec::new();
    for (name, password) in NAMES.iter().zip([Some(PASSWORD), Some(PASSWORD), None]) {
        people.push(arrive(&base, name, password).await?);
    }
    let rooms = live(&mut people).await?;
    let mut seen = Seen { people: Vec::new() };
    for ((client, account), name) in people.iter().zip(NAMES) {
        seen.people.push(look(client, account, name, &rooms).await?);
    }
    // A replica that had not applied the end of the log would be no less right, but another fixture.
    cluster.equal_chains(&cluster.all(), SOON).await?;
    cluster.stop()?;
    pack(&cluster, &seen)
}

async fn arrive(base: &str, name: &str, password: Option<&str>) -> Result<(Client, Account)> {
    let bases = [base.to_owned()];
    let account = match password {
        Some(password) => Account::sign_up_with(&bases, name, password, SOON).await?,
        None => Account::sign_up(&bases, name, SOON).await?,
    };
    let mut client = Client::with(base, account.clone());
    client.connect().await?;
    Ok((client, account))
}

/// What the people do; returns the rooms that each of them is in.
async fn live(people: &mut [(Client, Account)]) -> Result<[Vec<u64>; 3]> {
    let [(anna, _), (ben, _), (carla, _)] = people else {
        bail!("a fixture has three people");
    };
    talk(anna, ben, carla).await?;
    let plans = anna.create_room("plans").await?;
    ben.join(plans).await?;
    said(ben, plans, "in a room of its own").await?;
    anna.change(json!({"t": "topic", "room": plans, "topic": "What comes next"}))
        .await?;
    anna.change(json!({"t": "rename", "room": plans, "name": "later"}))
        .await?;
    anna.change(json!({"t": "wish", "room": plans, "level": "all", "favourite": true}))
        .await?;
    let old = anna.create_room("old").await?;
    said(anna, old, "the last word").await?;
    anna.change(json!({"t": "archive", "room": old, "archived": true}))
        .await?;
    let made = ben
        .change(json!({"t": "create", "name": "secret", "private": true}))
        .await?;
    let secret = made["room"].as_u64().context("a private room")?;
    ben.change(json!({"t": "invite", "room": secret, "user": carla.user}))
        .await?;
    said(carla, secret, "nobody else hears this").await?;
    let made = carla
        .change(json!({"t": "direct", "people": [anna.user]}))
        .await?;
    let direct = made["room"].as_u64().context("a direct room")?;
    said(carla, direct, "between the two of us").await?;
    Ok([
        vec![GENERAL, plans, old, direct],
        vec![GENERAL, plans, secret],
        vec![GENERAL, secret, direct],
    ])
}

/// In the first room: messages, and everything that can become of one.
async fn talk(anna: &mut Client, ben: &mut Client, carla: &mut Client) -> Result<()> {
    for number in 0..20 {
        said(anna, GENERAL, &format!("Anna's number {number}")).await?;
        said(ben, GENERAL, &format!("Ben's number {number} 🙂 äöü")).await?;
    }
    let first = said(anna, GENERAL, "@Ben, have you read this?").await?;
    let cid = Uuid::now_v7();
    let reply = json!({"t": "send", "cid": cid, "room": GENERAL, "body": "yes", "reply_to": first});
    ensure!(matches!(
        ben.request(reply, cid, SOON).await?,
        Reply::Ack { .. }
    ));
    let wrong = said(carla, GENERAL, "a mistke").await?;
    carla
        .change(json!({"t": "edit", "room": GENERAL, "seq": wrong, "body": "a mistake"}))
        .await?;
    let gone = said(carla, GENERAL, "better not said").await?;
    carla
        .change(json!({"t": "delete", "room": GENERAL, "seq": gone}))
        .await?;
    let rude = said(carla, GENERAL, "something rude").await?;
    anna.change(json!({"t": "take_away", "room": GENERAL, "seq": rude}))
        .await?;
    for person in [&mut *ben, carla] {
        person
            .change(json!({"t": "react", "room": GENERAL, "seq": first, "emoji": "👍", "on": true}))
            .await?;
    }
    ben.change(json!({"t": "pin", "room": GENERAL, "seq": first, "on": true}))
        .await?;
    ben.change(json!({"t": "read", "room": GENERAL, "seq": first}))
        .await?;
    Ok(())
}

async fn said(client: &mut Client, room: u64, body: &str) -> Result<u64> {
    match client.send_until_acked(room, body, SOON).await? {
        Reply::Ack { seq, .. } => Ok(seq),
        Reply::Err { code, .. } => bail!("{body}: {code}"),
    }
}

async fn look(
    client: &Client,
    account: &Account,
    name: &str,
    rooms: &[Vec<u64>],
) -> Result<Person> {
    let index = NAMES.iter().position(|known| *known == name);
    let own = index.and_then(|index| rooms.get(index));
    let mut histories = Vec::new();
    for room in own.context("a person of the fixture")? {
        histories.push((*room, client.whole_history(*room).await?));
    }
    let mut answers = Vec::new();
    for path in ["me", "people", "rooms", "rooms/1/pins", "settings"] {
        let path = format!("/api/v1/{path}");
        let answer = client.get(&path).await?;
        answers.push((path, answer));
    }
    Ok(Person {
        name: name.to_owned(),
        password: (index < Some(2)).then(|| PASSWORD.to_owned()),
        user: account.user,
        token: account.token.clone(),
        answers,
        histories,
    })
}

fn pack(cluster: &Cluster, seen: &Seen) -> Result<PathBuf> {
    let root = cluster.directory();
    let path = Formats::of(&cluster.replicas[0].data)?.path();
    let gzip = GzEncoder::new(File::create(&path)?, Compression::best());
    let mut archive = tar::Builder::new(gzip);
    archive.mode(tar::HeaderMode::Deterministic);
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        // The files beside them are what the processes printed.
        if entry.file_type()?.is_dir() {
            archive.append_dir_all(entry.file_name(), entry.path())?;
        }
    }
    let text = serde_json::to_vec_pretty(seen)?;
    let mut header = tar::Header::new_gnu();
    header.set_size(u64::try_from(text.len())?);
    header.set_mode(0o644);
    header.set_cksum();
    archive.append_data(&mut header, SEEN, text.as_slice())?;
    archive.into_inner()?.finish()?;
    let bytes = std::fs::metadata(&path)?.len();
    ensure!(
        bytes <= FIXTURE_BYTES_MAX,
        "{} has {bytes} bytes, more than {FIXTURE_BYTES_MAX}: let people do less in it",
        path.display()
    );
    Ok(path)
}

/// The data of a fixture in a new directory, and what its people saw.
///
/// # Errors
/// When the file is none that [`make`] made.
pub fn unpack(path: &Path) -> Result<(TempDir, Seen)> {
    let named = || format!("unpack {}", path.display());
    let directory = TempDir::new()?;
    let file = File::open(path).with_context(named)?;
    tar::Archive::new(GzDecoder::new(file))
        .unpack(directory.path())
        .with_context(named)?;
    let text = std::fs::read(directory.path().join(SEEN)).with_context(named)?;
    Ok((directory, serde_json::from_slice(&text)?))
}

/// Whether `now` says all that `then` said: what a later version says besides is its own.
///
/// # Errors
/// When something is missing or another; names the place.
pub fn says_all(then: &Value, now: &Value, place: &str) -> Result<()> {
    match (then, now) {
        (Value::Object(then), Value::Object(now)) => {
            for (key, value) in then {
                let place = format!("{place}.{key}");
                says_all(value, now.get(key).unwrap_or(&Value::Null), &place)?;
            }
        }
        (Value::Array(then), Value::Array(now)) => {
            ensure!(
                then.len() == now.len(),
                "{place}: {} before, {} now",
                then.len(),
                now.len()
            );
            for (index, (then, now)) in then.iter().zip(now).enumerate() {
                says_all(then, now, &format!("{place}[{index}]"))?;
            }
        }
        (then, now) => ensure!(then == now, "{place}: {then} before, {now} now"),
    }
    Ok(())
}
