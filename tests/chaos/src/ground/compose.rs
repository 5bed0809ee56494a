//! The compose mode: the containers of `docker/compose.yaml`, and further ones like them.
//!
//! The first three replicas, the gateways and membership are what `make up MODE=compose` starts,
//! under a project name of this run, so that a cluster that somebody uses is never touched.
//! Replicas that come later are containers with the same settings on the same network.
//!
//! Links are cut, and packets lost, by rules inside the network namespace of the container that
//! would receive (`nsenter`, `iptables`); a container that starts has a new namespace and gets
//! its rules again. A clock of its own and a disk that forgets what was not synced cannot be
//! given to a container from outside: the local mode has them.

mod engine;
mod rules;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use tokio::task::block_in_place;

use self::engine::{Engine, State};
use super::disk;
use crate::ground::command::run;
use crate::ground::{Damage, FAST_CLIENTS, Ground, Link, Name, Place, Weather};
use crate::kind::Kind;
use crate::limits::STOPPED;

/// What the compose file is written for.
pub const FIRST_VOTERS: usize = 3;
/// Gateways of the compose file, with its profile `two-gateways`.
pub const GATEWAYS: usize = 2;

/// One container.
#[derive(Debug)]
struct Container {
    name: Name,
    /// Its address on the cluster's network; it keeps it as long as it lives.
    ip: String,
}

/// A cluster of containers. They and their volumes are removed when it is dropped.
#[derive(Debug)]
pub struct Compose {
    engine: Engine,
    containers: Vec<Container>,
    /// How many replicas there ever were.
    numbered: usize,
    cut: BTreeSet<Link>,
    weather: Weather,
    logs: PathBuf,
}

impl Compose {
    /// Starts the containers, with their logs under `root`. Does not wait for a leader.
    ///
    /// # Errors
    /// When there is no engine, no image, or the containers do not start.
    pub async fn start(
        root: &Path,
        replicas: usize,
        membership_env: &[(&str, String)],
    ) -> Result<Self> {
        ensure!(
            replicas >= FIRST_VOTERS,
            "REPLICAS={replicas}: the compose file has {FIRST_VOTERS}"
        );
        let mut membership: Vec<(String, String)> = membership_env
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        membership.push((
            "CHATTERBOX_MEMBERSHIP_REPLICAS".to_owned(),
            replicas.to_string(),
        ));
        let engine = Engine::find(root, &membership, &FAST_CLIENTS).await?;
        let logs = root.join("output");
        std::fs::create_dir_all(&logs)?;
        let mut compose = Self {
            engine,
            containers: Vec::new(),
            numbered: FIRST_VOTERS,
            cut: BTreeSet::new(),
            weather: Weather::default(),
            logs,
        };
        compose.engine.up().await?;
        compose.know("membership");
        for number in 1..=FIRST_VOTERS {
            compose.know(&format!("replica-{number}"));
        }
        for number in 1..=GATEWAYS {
            compose.know(&format!("gateway-{number}"));
        }
        while compose.numbered < replicas {
            compose.add_replica().await?;
        }
        Ok(compose)
    }

    /// Keeps what a container has printed, before it is removed.
    fn keep_log(&self, name: &str) -> Result<()> {
        let path = self.logs.join(format!("{name}.log"));
        std::fs::write(path, self.engine.logs(name, "all")?)?;
        Ok(())
    }

    fn know(&mut self, name: &str) {
        self.containers.push(Container {
            name: name.to_owned(),
            ip: self.engine.ip(name),
        });
    }

    fn named(&self, kind: &str) -> Vec<Name> {
        let names = self.containers.iter().map(|container| &container.name);
        names
            .filter(|name| name.starts_with(kind))
            .cloned()
            .collect()
    }

    async fn state(&self, name: &str) -> Result<State> {
        let id = self.engine.id(name).await?;
        self.engine.state(&id).await
    }

    /// `docker VERB OPTIONS… CONTAINER`.
    async fn tell(&self, words: &[&str], name: &str) -> Result<()> {
        let id = self.engine.id(name).await?;
        let mut args = words.to_vec();
        args.push(&id);
        run("docker", &args, "").await.map(drop)
    }

    /// Gives a container the rules that hold now; one that does not run gets them when it starts.
    async fn rule(&self, name: &str) -> Result<()> {
        let state = self.state(name).await?;
        if !state.running {
            return Ok(());
        }
        let others: Vec<(String, String)> = self
            .containers
            .iter()
            .map(|other| (other.name.clone(), other.ip.clone()))
            .collect();
        let rules = rules::filter(name, &others, &self.cut, self.weather);
        rules::apply(state.pid, &rules).await
    }

    /// The directory of a replica that does not run.
    async fn resting(&self, name: &str) -> Result<PathBuf> {
        let id = self.engine.id(name).await?;
        let running = self.engine.state(&id).await?.running;
        ensure!(!running, "{name} runs: nothing may be done to its files");
        self.engine.data(&id).await
    }
}

impl Ground for Compose {
    fn mode(&self) -> &'static str {
        "compose"
    }

    fn obstacle(&self, kind: Kind) -> Option<String> {
        let why = match kind {
            Kind::Delay => "no rule of iptables delays a packet: the local mode has it",
            Kind::DiskFull => "a volume has no limit of its own: the local mode has it",
            Kind::Clock => "containers share the clock of their machine: the local mode has it",
            Kind::PowerOne | Kind::PowerAll => {
                "nothing takes back what a volume has not synced: the local mode has it"
            }
            Kind::Drain | Kind::Scale => "it is Kubernetes' own: MODE=k8s has it",
            _ => return None,
        };
        Some(why.to_owned())
    }

    fn replicas(&self) -> Vec<Place> {
        let replicas = self
            .containers
            .iter()
            .filter(|c| c.name.starts_with("replica"));
        let place = |container: &Container| Place {
            name: container.name.clone(),
            address: format!("{}:1061", container.ip),
        };
        replicas.map(place).collect()
    }

    fn gateways(&self) -> Vec<Name> {
        self.named("gateway")
    }

    fn gateway_urls(&self) -> Vec<String> {
        let gateways = self
            .containers
            .iter()
            .filter(|c| c.name.starts_with("gateway"));
        gateways
            .map(|container| format!("http://{}:1050", container.ip))
            .collect()
    }

    fn membership(&self) -> Name {
        "membership".to_owned()
    }

    fn membership_url(&self) -> String {
        format!("http://{}:1051", self.engine.ip("membership"))
    }
    fn fallen(&mut self) -> Vec<Name> {
        // Their engine starts again what ends by itself (`restart: unless-stopped`), and the
        // watch sees that it was away.
        Vec::new()
    }

    fn tail(&self, name: &str) -> String {
        let logs = block_in_place(|| self.engine.logs(name, "5"));
        logs.unwrap_or_else(|error| format!("{error:#}"))
    }

    async fn kill(&mut self, names: &[Name]) -> Result<()> {
        let mut args = vec!["kill".to_owned(), "-s".to_owned(), "KILL".to_owned()];
        for name in names {
            let id = self.engine.id(name).await?;
            let running = self.engine.state(&id).await?.running;
            if running {
                args.push(id);
            }
        }
        if args.len() == 3 {
            return Ok(());
        }
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        run("docker", &words, "").await.map(drop)
    }

    async fn power_off(&mut self, _names: &[Name], _seed: u64) -> Result<String> {
        bail!("containers cannot lose what they have not synced")
    }

    async fn stop(&mut self, name: &str) -> Result<()> {
        let seconds = STOPPED.as_secs().to_string();
        self.tell(&["stop", "-t", &seconds], name).await
    }

    async fn start(&mut self, name: &str) -> Result<()> {
        self.tell(&["start"], name).await?;
        self.rule(name).await
    }

    async fn pause(&mut self, name: &str) -> Result<()> {
        self.tell(&["pause"], name).await
    }

    async fn resume(&mut self, name: &str) -> Result<()> {
        self.tell(&["unpause"], name).await
    }

    async fn network(&mut self, cut: &BTreeSet<Link>, weather: Weather) -> Result<()> {
        if *cut == self.cut && weather == self.weather {
            return Ok(());
        }
        self.cut.clone_from(cut);
        self.weather = weather;
        for name in self.containers.iter().map(|container| &container.name) {
            self.rule(name).await?;
        }
        Ok(())
    }

    async fn erase(&mut self, name: &str) -> Result<()> {
        let data = self.resting(name).await?;
        block_in_place(|| disk::empty(&data))
    }

    async fn retire(&mut self, name: &str) -> Result<()> {
        let id = self.engine.id(name).await?;
        block_in_place(|| self.keep_log(name))?;
        self.engine.remove(name, &id).await?;
        self.containers.retain(|container| container.name != name);
        Ok(())
    }

    async fn add_replica(&mut self) -> Result<Name> {
        self.numbered += 1;
        let name = format!("replica-{}", self.numbered);
        self.engine.run_replica(&name).await?;
        self.know(&name);
        self.rule(&name).await?;
        Ok(name)
    }

    async fn fill_disk(&mut self, _name: &str) -> Result<()> {
        bail!("a volume has no limit of its own")
    }

    async fn free_disk(&mut self, _name: &str) -> Result<()> {
        bail!("a volume has no limit of its own")
    }

    async fn damage(&mut self, name: &str, damage: Damage, seed: u64) -> Result<String> {
        let data = self.resting(name).await?;
        disk::damage(&data, damage, seed)
    }

    async fn shift_clock(&mut self, _name: &str, _ms: i64) -> Result<()> {
        bail!("containers share the clock of their machine")
    }

    /// Volumes go with their containers.
    fn keep_data(&mut self, _keep: bool) {}

    async fn data(&self, name: &str) -> Result<PathBuf> {
        let id = self.engine.id(name).await?;
        self.engine.data(&id).await
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        let first =
            |name: &str| (1..=FIRST_VOTERS).any(|number| name == format!("replica-{number}"));
        let mut extra = self.named("replica");
        extra.retain(|name| !first(name));
        for container in &self.containers {
            if let Err(error) = self.keep_log(&container.name) {
                eprintln!("the log of {} is lost: {error:#}", container.name);
            }
        }
        self.engine.remove_all(&extra);
    }
}
