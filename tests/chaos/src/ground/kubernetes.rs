//! The Kubernetes mode: the overlay `dev` in a namespace of its own, through the API.
//!
//! What is done is what happens to a chat on Kubernetes: pods are deleted, with their claims or
//! without, machines are drained, workloads scaled and rolled, links cut by network policies. What
//! dies comes back by itself, at once: nothing here keeps a pod away. A pod that is deleted gets a
//! second, in which it may hand over its lead: without that second nobody could know that it is
//! dead (`kill -9` is in the other modes).

mod cluster;
mod copies;
mod forward;
mod links;
mod pods;
mod policies;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use self::cluster::{Cluster, Size};
use self::forward::{Aim, Doors, Forward};
use self::pods::{Pod, Watch};
use crate::ground::{Damage, FAST_CLIENTS, Ground, Link, Name, Place, Weather};
use crate::kind::Kind;

/// How long a pod may take to run again: its volume has to be attached, perhaps to another machine.
const RUNS: Duration = Duration::from_secs(120);
/// How long a deleted pod may take until it is gone.
const GONE: Duration = Duration::from_secs(60);
/// How long a drain goes on: as far as the budgets allow in that time.
const DRAINED: &str = "--timeout=20s";

/// Ports of the pods.
const REPLICA_PORT: u16 = 1061;
const MEMBERSHIP_PORT: u16 = 1051;
const GATEWAY_PORT: u16 = 1050;
/// The pod of membership.
const MEMBERSHIP: &str = "membership-0";

/// A cluster in a namespace of its own, which is removed when this is dropped.
#[derive(Debug)]
pub struct Kubernetes {
    cluster: Cluster,
    watch: Watch,
    /// The ports that lead to replicas, membership and gateways, by name.
    forwards: BTreeMap<Name, Forward>,
    doors: Doors,
    replicas: usize,
    voters: usize,
    standbys: usize,
    /// Replicas that were retired, whose place the next one takes.
    retired: Vec<Name>,
    /// The pods that were there when this looked last: those that were deleted are others now.
    killed: BTreeMap<Name, String>,
    restarts: BTreeMap<String, u32>,
    usual: Vec<Value>,
    cut: BTreeSet<Link>,
    drained: BTreeSet<String>,
    folder: PathBuf,
    keep: bool,
}

impl Kubernetes {
    /// Applies the manifests and waits until all pods run. Does not wait for a leader.
    ///
    /// # Errors
    /// When no cluster answers, or the pods do not come up.
    pub async fn start(
        folder: &Path,
        voters: usize,
        gateways: usize,
        membership_env: &[(&str, String)],
    ) -> Result<Self> {
        ensure!(
            matches!(voters, 3 | 5 | 7),
            "REPLICAS={voters}: 3, 5 or 7 vote on Kubernetes"
        );
        let size = Size {
            replicas: voters,
            gateways,
        };
        let cluster = Cluster::find(folder, size, membership_env, &FAST_CLIENTS).await?;
        let watch = Watch::start(&cluster.namespace);
        let mut kubernetes = Self {
            cluster,
            watch,
            forwards: BTreeMap::new(),
            doors: Doors::default(),
            replicas: voters,
            voters,
            standbys: 0,
            retired: Vec::new(),
            killed: BTreeMap::new(),
            restarts: BTreeMap::new(),
            usual: Vec::new(),
            cut: BTreeSet::new(),
            drained: BTreeSet::new(),
            folder: folder.to_owned(),
            keep: false,
        };
        kubernetes.cluster.up().await?;
        kubernetes.usual = kubernetes.cluster.policies().await?;
        kubernetes.forward(MEMBERSHIP, MEMBERSHIP_PORT)?;
        for number in 0..voters {
            kubernetes.forward(&replica(number), REPLICA_PORT)?;
        }
        for number in 1..=gateways {
            let name = format!("gateway-{number}");
            let aim = Aim::Door(name.clone(), Doors::clone(&kubernetes.doors));
            let forward = kubernetes.open(aim, GATEWAY_PORT)?;
            kubernetes.forwards.insert(name, forward);
        }
        for name in kubernetes.gateways() {
            kubernetes.runs(&name).await?;
        }
        Ok(kubernetes)
    }

    fn open(&self, aim: Aim, port: u16) -> Result<Forward> {
        Forward::open(&self.cluster.namespace, aim, port, self.watch.pods.clone())
    }

    fn forward(&mut self, pod: &str, port: u16) -> Result<()> {
        let forward = self.open(Aim::Pod(pod.to_owned()), port)?;
        self.forwards.insert(pod.to_owned(), forward);
        Ok(())
    }

    fn address(&self, name: &str) -> String {
        let forward = self.forwards.get(name);
        forward.map_or_else(String::new, |forward| forward.address.clone())
    }

    /// The pod that has a name of ours: doors lead to pods of other names.
    fn pod_name(&self, name: &str) -> Option<String> {
        if name.starts_with("gateway") {
            // Every change is whole before the guard is dropped.
            let doors = self.doors.lock();
            let doors = doors.unwrap_or_else(std::sync::PoisonError::into_inner);
            return doors.get(name).cloned();
        }
        Some(name.to_owned())
    }

    fn pod(&self, name: &str) -> Option<(String, Pod)> {
        let name = self.pod_name(name)?;
        let pod = self.watch.pod(&name)?;
        Some((name, pod))
    }

    /// Deletes pods and waits until they are gone.
    async fn delete(&mut self, names: &[Name], words: &[&str]) -> Result<()> {
        let found: Vec<(String, Pod)> = names.iter().filter_map(|name| self.pod(name)).collect();
        if found.is_empty() {
            return Ok(());
        }
        let mut args = vec!["delete", "pod", "--wait=false", "--ignore-not-found"];
        args.extend(words);
        args.extend(found.iter().map(|(name, _)| name.as_str()));
        self.cluster.kubectl(&args, "").await?;
        for (name, old) in &found {
            let other = |pod: Option<&Pod>| pod.is_none_or(|pod| pod.uid != old.uid);
            self.watch.until(name, GONE, "was gone", other).await?;
        }
        let uids = names
            .iter()
            .zip(found)
            .map(|(name, (_, pod))| (name.clone(), pod.uid));
        self.killed.extend(uids);
        Ok(())
    }

    /// Waits until a name has a pod that runs, and its port leads there.
    async fn runs(&self, name: &str) -> Result<()> {
        let deadline = Instant::now() + RUNS;
        let mut pods = self.watch.pods.clone();
        let old = self.killed.get(name);
        loop {
            let pod = self.pod(name).map(|(_, pod)| pod);
            if pod
                .as_ref()
                .is_some_and(|pod| pod.runs && Some(&pod.uid) != old)
            {
                return Ok(());
            }
            let changed = tokio::time::timeout_at(deadline, pods.changed()).await;
            changed.with_context(|| format!("{name} did not run within {RUNS:?}: {pod:?}"))??;
            // The door is assigned by its forward, which sees the same change.
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Sets how many pods the StatefulSet has, waits until they run, and opens their ports. A place
    /// that was drained before counts again.
    async fn set_replicas(&mut self, count: usize) -> Result<()> {
        let wanted = format!("--replicas={count}");
        let words = ["scale", "statefulset/replica", &wanted];
        self.cluster.kubectl(&words, "").await?;
        for number in 0..count {
            let name = replica(number);
            if !self.forwards.contains_key(&name) {
                self.forward(&name, REPLICA_PORT)?;
                self.runs(&name).await?;
                self.cluster.undrain_place(MEMBERSHIP, &name).await?;
            }
            self.runs(&name).await?;
        }
        self.forwards
            .retain(|name, _| !name.starts_with("replica") || place_of(name) < Some(count));
        self.replicas = count;
        Ok(())
    }
}

fn replica(number: usize) -> Name {
    format!("replica-{number}")
}

/// The ordinal of a replica.
fn place_of(name: &str) -> Option<usize> {
    name.rsplit('-').next()?.parse().ok()
}

impl Ground for Kubernetes {
    fn mode(&self) -> &'static str {
        "k8s"
    }

    fn obstacle(&self, kind: Kind) -> Option<String> {
        let why = match kind {
            Kind::Pause | Kind::PauseLeader => "the API cannot let a pod stand still",
            Kind::OneWay => "a network policy cuts connections, not one direction of them",
            Kind::Delay | Kind::Loss => "a network policy cuts, it does not delay",
            Kind::DiskFull => "the space of a claim is its storage class's affair",
            Kind::BitFlip | Kind::Truncate => "nobody reaches the files of a pod that is gone",
            Kind::Clock => "pods share the clock of their machine",
            Kind::PowerOne | Kind::PowerAll => "nothing takes back what a volume has not synced",
            _ => return None,
        };
        Some(format!("{why}: the local mode has it"))
    }

    fn revives(&self) -> bool {
        true
    }

    fn replicas(&self) -> Vec<Place> {
        let place = |number| Place {
            name: replica(number),
            address: self.address(&replica(number)),
        };
        (0..self.replicas).map(place).collect()
    }

    fn gateways(&self) -> Vec<Name> {
        let names = self.forwards.keys();
        names
            .filter(|name| name.starts_with("gateway"))
            .cloned()
            .collect()
    }

    fn gateway_urls(&self) -> Vec<String> {
        let address = |name: &Name| format!("http://{}", self.address(name));
        self.gateways().iter().map(address).collect()
    }

    fn membership(&self) -> Name {
        MEMBERSHIP.to_owned()
    }

    fn membership_url(&self) -> String {
        format!("http://{}", self.address(MEMBERSHIP))
    }

    fn fallen(&mut self) -> Vec<Name> {
        // A kubelet has started them again already; that they ended is to be known all the same.
        let mut fallen = Vec::new();
        for (name, pod) in self.watch.pods.borrow().iter() {
            let known = self.restarts.entry(pod.uid.clone()).or_default();
            if pod.restarts > *known {
                *known = pod.restarts;
                fallen.push(name.clone());
            }
        }
        fallen
    }

    fn tail(&self, name: &str) -> String {
        let pod = self.pod_name(name).unwrap_or_else(|| name.to_owned());
        let logs = block_in_place(|| self.cluster.logs(&pod, "5"));
        logs.unwrap_or_else(|error| format!("{error:#}"))
    }

    async fn kill(&mut self, names: &[Name]) -> Result<()> {
        self.delete(names, &["--grace-period=1"]).await
    }

    async fn power_off(&mut self, _names: &[Name], _seed: u64) -> Result<String> {
        bail!("nothing takes back what a volume has not synced")
    }

    async fn stop(&mut self, name: &str) -> Result<()> {
        self.delete(&[name.to_owned()], &[]).await
    }

    async fn start(&mut self, name: &str) -> Result<()> {
        self.runs(name).await?;
        let ends = self
            .cut
            .iter()
            .any(|link| link.from == name || link.to == name);
        if ends {
            self.label(&BTreeSet::from([name.to_owned()])).await?;
        }
        Ok(())
    }

    async fn pause(&mut self, _name: &str) -> Result<()> {
        bail!("the API cannot let a pod stand still")
    }

    async fn resume(&mut self, _name: &str) -> Result<()> {
        Ok(())
    }

    async fn network(&mut self, cut: &BTreeSet<Link>, _weather: Weather) -> Result<()> {
        if *cut == self.cut {
            return Ok(());
        }
        let ends: BTreeSet<Name> = cut
            .iter()
            .flat_map(|link| [link.from.clone(), link.to.clone()])
            .collect();
        self.label(&ends).await?;
        let component = |name: &Name| {
            let kind = name.split('-').next().unwrap_or_default();
            (name.clone(), kind.to_owned())
        };
        let components = ends.iter().map(component).collect();
        let policies = policies::cut(&self.usual, &components, cut);
        self.cluster.set_policies(&policies).await?;
        let new: BTreeSet<Link> = cut.difference(&self.cut).cloned().collect();
        self.cut.clone_from(cut);
        match self.carries(&new).await? {
            None => Ok(()),
            Some(words) => bail!("the policies are there, and {words}"),
        }
    }

    async fn erase(&mut self, name: &str) -> Result<()> {
        if let Some((_, pod)) = self.pod(name) {
            self.killed.insert(name.to_owned(), pod.uid);
        }
        self.cluster.delete_with_claim(name, RUNS).await
    }

    async fn retire(&mut self, name: &str) -> Result<()> {
        self.erase(name).await?;
        self.retired.push(name.to_owned());
        Ok(())
    }

    /// The StatefulSet puts another node in the place of one that was retired; else there is one
    /// more.
    async fn add_replica(&mut self) -> Result<Name> {
        if let Some(name) = self.retired.pop() {
            self.runs(&name).await?;
            return Ok(name);
        }
        self.standbys += 1;
        let name = replica(self.replicas);
        self.set_replicas(self.replicas + 1).await?;
        Ok(name)
    }

    async fn fill_disk(&mut self, _name: &str) -> Result<()> {
        bail!("the space of a claim is its storage class's affair")
    }

    async fn free_disk(&mut self, _name: &str) -> Result<()> {
        Ok(())
    }

    async fn damage(&mut self, _name: &str, _damage: Damage, _seed: u64) -> Result<String> {
        bail!("nobody reaches the files of a pod that is gone")
    }

    async fn shift_clock(&mut self, _name: &str, _ms: i64) -> Result<()> {
        bail!("pods share the clock of their machine")
    }

    async fn drain(&mut self, name: &str) -> Result<String> {
        let (_, pod) = self
            .pod(name)
            .with_context(|| format!("{name} has no pod"))?;
        ensure!(!pod.machine.is_empty(), "{name} has no machine");
        self.drained.insert(pod.machine.clone());
        // Only ours: others may live on this machine.
        let ours = "--pod-selector=app.kubernetes.io/name=chatterbox";
        let words = [
            "drain",
            &pod.machine,
            ours,
            "--delete-emptydir-data",
            DRAINED,
        ];
        let drained = self.cluster.kubectl(&words, "").await;
        let left = self
            .watch
            .pods
            .borrow()
            .values()
            .filter(|p| p.machine == pod.machine)
            .count();
        Ok(match drained {
            Ok(_) => format!("machine {} is drained", pod.machine),
            // Budgets let no more go: that is what they are for.
            Err(_) => format!(
                "machine {} is drained but for {left} pods that its budgets keep",
                pod.machine
            ),
        })
    }

    async fn undrain(&mut self) -> Result<()> {
        for machine in std::mem::take(&mut self.drained) {
            self.cluster.kubectl(&["uncordon", &machine], "").await?;
        }
        Ok(())
    }

    async fn scale(&mut self, voters: usize) -> Result<()> {
        self.cluster.wrapper("scale", voters).await?;
        let grows = voters >= self.voters;
        self.voters = voters;
        if grows {
            return self.set_replicas(self.replicas.max(voters)).await;
        }
        // The standby went along with the places above it; it comes back.
        self.replicas = voters;
        self.set_replicas(voters + self.standbys).await
    }

    async fn roll(&mut self) -> Result<Option<String>> {
        self.cluster.wrapper("roll", self.voters).await?;
        Ok(Some("rolled by `make k8s-roll`".to_owned()))
    }

    fn keep_data(&mut self, keep: bool) {
        self.keep = keep;
    }

    /// A copy that the replica makes of its state: nobody else reaches its files.
    async fn data(&self, name: &str) -> Result<PathBuf> {
        let copies = self.folder.join("copies");
        std::fs::create_dir_all(&copies)?;
        let number = std::fs::read_dir(&copies)?.count();
        let target = copies.join(format!("{name}-{number}"));
        self.copy(name, &target).await?;
        Ok(target)
    }
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        let output = self.folder.join("output");
        let pods = self.watch.pods.borrow().clone();
        for name in pods.keys() {
            let kept = std::fs::create_dir_all(&output)
                .map_err(Into::into)
                .and_then(|()| self.cluster.logs(name, "-1"))
                .and_then(|text| Ok(std::fs::write(output.join(format!("{name}.log")), text)?));
            if let Err(error) = kept {
                eprintln!("the log of {name} is lost: {error:#}");
            }
        }
        if self.keep {
            eprintln!("namespace {} is kept", self.cluster.namespace);
        } else {
            self.cluster.remove();
        }
    }
}
