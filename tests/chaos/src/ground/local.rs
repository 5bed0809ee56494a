//! The local mode: processes of this machine on loopback, as `chatterctl up` starts them, but each
//! with a proxy in front of it and its disk under `interpose`.

mod callers;
mod network;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use scenarios::ports;
use scenarios::process::{Process, Spec, binary};
use tokio::task::{JoinHandle, block_in_place};

use self::network::Network;
use super::disk;
use crate::ground::{Damage, Ground, Link, Name, Place, Weather};
use crate::kind::Kind;
use crate::limits::STOPPED;

/// What a cluster consists of.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// First voters.
    pub replicas: usize,
    /// Gateways.
    pub gateways: usize,
}

/// One process.
#[derive(Debug)]
struct Node {
    name: Name,
    process: Process,
    /// Whether it is meant to run.
    wanted: bool,
    /// Where it listens, behind its proxy.
    address: SocketAddr,
    /// All that it has on this machine; `data`, `undo` and `clock` are in it.
    home: PathBuf,
    /// A small disk in the place of `home/data`, for a while.
    small: bool,
    proxy: Option<JoinHandle<()>>,
}

impl Node {
    fn data(&self) -> PathBuf {
        self.home.join(if self.small { "small" } else { "data" })
    }

    fn start(&mut self, network: &Network) -> Result<()> {
        self.process.restart()?;
        self.wanted = true;
        network.note_process(&self.name, self.process.id());
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.process.kill();
        if let Some(proxy) = &self.proxy {
            proxy.abort();
        }
        if self.small {
            // An unmount that fails leaves memory in use, and is nothing that a drop can help.
            let _ = disk::unmount(&self.home.join("small"));
        }
    }
}

/// A cluster of processes. They end when it is dropped.
#[derive(Debug)]
pub struct Local {
    root: PathBuf,
    network: Network,
    membership: Node,
    membership_proxy: u16,
    gateways: Vec<Node>,
    replicas: Vec<Node>,
    /// How many replicas there ever were.
    numbered: usize,
    library: PathBuf,
    may_mount: bool,
    keep_data: bool,
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn node(
    root: &Path,
    name: &str,
    program: &'static str,
    env: Vec<(String, String)>,
    address: SocketAddr,
) -> Result<Node> {
    let home = root.join("nodes").join(name);
    std::fs::create_dir_all(home.join("undo"))?;
    std::fs::create_dir_all(root.join("output"))?;
    // 0: the clock is right.
    std::fs::write(home.join("clock"), 0_i64.to_le_bytes())?;
    let process = Process::start(Spec {
        name: name.to_owned(),
        binary: program,
        env,
        log: root.join("output").join(format!("{name}.log")),
    })?;
    Ok(Node {
        name: name.to_owned(),
        process,
        wanted: true,
        address,
        home,
        small: false,
        proxy: None,
    })
}

impl Local {
    /// Starts the processes, with their files and logs under `root`. Does not wait for a leader.
    ///
    /// # Errors
    /// When a program is missing or cannot be started.
    pub async fn start(root: &Path, size: Size, membership_env: &[(&str, String)]) -> Result<Self> {
        let library = binary("replica")?.with_file_name("libinterpose.so");
        ensure!(
            library.exists(),
            "{} is missing: run `cargo build -p interpose` first",
            library.display()
        );
        let network = Network::new();
        let (port, membership_proxy) = (ports::free(), ports::free());
        let mut env = vec![
            setting("CHATTERBOX_MEMBERSHIP_LISTEN", format!("127.0.0.1:{port}")),
            setting(
                "CHATTERBOX_MEMBERSHIP_DATA",
                root.join("nodes/membership/data").display(),
            ),
            setting("CHATTERBOX_MEMBERSHIP_CLUSTER", "chaos"),
            setting("CHATTERBOX_MEMBERSHIP_REPLICAS", size.replicas),
        ];
        env.extend(
            membership_env
                .iter()
                .map(|(key, value)| setting(key, value)),
        );
        let mut membership = node(root, "membership", "membership", env, loopback(port))?;
        network.note_process("membership", membership.process.id());
        let proxy = network.stand_before("membership", membership_proxy, loopback(port));
        membership.proxy = Some(proxy.await?);
        let mut local = Self {
            root: root.to_owned(),
            network,
            membership,
            membership_proxy,
            gateways: Vec::new(),
            replicas: Vec::new(),
            numbered: 0,
            library,
            may_mount: disk::may_mount(),
            keep_data: true,
        };
        // Membership names the first voters in the order of their addresses.
        let mut ports: Vec<u16> = (0..size.replicas).map(|_| ports::free()).collect();
        ports.sort_unstable();
        for port in ports {
            local.start_replica(port).await?;
        }
        for number in 1..=size.gateways {
            local.start_gateway(number)?;
        }
        Ok(local)
    }

    /// Starts a replica that is reached by others at the port `proxy`.
    async fn start_replica(&mut self, proxy: u16) -> Result<Name> {
        self.numbered += 1;
        let name = format!("replica{}", self.numbered);
        let address = loopback(ports::free());
        let home = self.root.join("nodes").join(&name);
        let membership = format!("http://127.0.0.1:{}", self.membership_proxy);
        let env = vec![
            setting("CHATTERBOX_REPLICA_LISTEN", address),
            setting("CHATTERBOX_REPLICA_ADVERTISE", loopback(proxy)),
            setting("CHATTERBOX_REPLICA_DATA", home.join("data").display()),
            setting("CHATTERBOX_REPLICA_MEMBERSHIP", membership),
            setting("LD_PRELOAD", self.library.display()),
            setting("INTERPOSE_UNDO", home.join("undo").display()),
            setting("INTERPOSE_CLOCK", home.join("clock").display()),
        ];
        let task = self.network.stand_before(&name, proxy, address).await?;
        let mut replica = node(&self.root, &name, "replica", env, address)?;
        self.network.note_process(&name, replica.process.id());
        replica.proxy = Some(task);
        self.replicas.push(replica);
        Ok(name)
    }

    fn start_gateway(&mut self, number: usize) -> Result<()> {
        let name = format!("gateway{number}");
        let address = loopback(ports::free());
        let membership = format!("http://127.0.0.1:{}", self.membership_proxy);
        let env = vec![
            setting("CHATTERBOX_GATEWAY_LISTEN", address),
            setting("CHATTERBOX_GATEWAY_MEMBERSHIP", membership),
            setting("CHATTERBOX_GATEWAY_NAME", &name),
            // Clients of a test write faster than people.
            setting("CHATTERBOX_GATEWAY_SENDS_PER_SECOND", 10_000),
            setting("CHATTERBOX_GATEWAY_SENDS_BURST", 10_000),
            setting("CHATTERBOX_GATEWAY_SIGN_UPS_PER_SECOND", 10_000),
            // One machine, one person as far as the gateway can tell.
            setting("CHATTERBOX_GATEWAY_SOCKETS_PER_USER", 1_000),
            setting("CHATTERBOX_GATEWAY_CONNECTIONS_PER_ADDRESS", 10_000),
            setting("CHATTERBOX_GATEWAY_REQUESTS_PER_SECOND_ADDRESS", 10_000),
        ];
        let gateway = node(&self.root, &name, "gateway", env, address)?;
        self.network.note_process(&name, gateway.process.id());
        self.gateways.push(gateway);
        Ok(())
    }

    fn nodes_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        let membership = std::iter::once(&mut self.membership);
        membership
            .chain(&mut self.gateways)
            .chain(&mut self.replicas)
    }

    fn node(&mut self, name: &str) -> Result<&mut Node> {
        let found = self.nodes_mut().find(|node| node.name == name);
        found.with_context(|| format!("there is no {name}"))
    }

    fn position(&self, name: &str) -> Result<usize> {
        let found = self.replicas.iter().position(|node| node.name == name);
        found.with_context(|| format!("there is no {name}"))
    }

    /// One that does not run.
    fn resting(&mut self, name: &str) -> Result<&mut Node> {
        let node = self.node(name)?;
        if node.process.is_running() {
            bail!("{name} runs: nothing may be done to its files");
        }
        Ok(node)
    }
}

fn setting(key: &str, value: impl std::fmt::Display) -> (String, String) {
    (key.to_owned(), value.to_string())
}

impl Ground for Local {
    fn mode(&self) -> &'static str {
        "local"
    }

    fn obstacle(&self, kind: Kind) -> Option<String> {
        let needs_root = kind == Kind::DiskFull && !self.may_mount;
        needs_root.then(|| "a small disk takes the right to mount one (root)".to_owned())
    }

    fn replicas(&self) -> Vec<Place> {
        let place = |node: &Node| Place {
            name: node.name.clone(),
            address: node.address.to_string(),
        };
        self.replicas.iter().map(place).collect()
    }

    fn gateways(&self) -> Vec<Name> {
        self.gateways.iter().map(|node| node.name.clone()).collect()
    }

    fn gateway_urls(&self) -> Vec<String> {
        let url = |node: &Node| format!("http://{}", node.address);
        self.gateways.iter().map(url).collect()
    }

    fn membership(&self) -> Name {
        self.membership.name.clone()
    }

    fn membership_url(&self) -> String {
        format!("http://{}", self.membership.address)
    }

    fn fallen(&mut self) -> Vec<Name> {
        let mut fallen = Vec::new();
        for node in self.nodes_mut() {
            if node.wanted && !node.process.is_running() {
                fallen.push(node.name.clone());
            }
        }
        fallen
    }

    fn tail(&self, name: &str) -> String {
        let path = self.root.join("output").join(format!("{name}.log"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let from = text.lines().count().saturating_sub(5);
        text.lines().skip(from).collect::<Vec<_>>().join("\n")
    }

    async fn kill(&mut self, names: &[Name]) -> Result<()> {
        // All stand still before the first one dies: together is not one after the other.
        for name in names.iter().skip(1) {
            let node = self.node(name)?;
            if node.process.is_running() {
                node.process.pause()?;
            }
        }
        for name in names {
            let network = self.network.clone();
            let node = self.node(name)?;
            node.wanted = false;
            node.process.kill();
            network.note_process(name, None);
        }
        Ok(())
    }

    async fn power_off(&mut self, names: &[Name], seed: u64) -> Result<String> {
        self.kill(names).await?;
        let mut running = Vec::new();
        for (number, name) in (0..).zip(names) {
            let seed = seed.wrapping_add(number);
            let node = self.node(name)?;
            let program = std::process::Command::new(binary("power-off")?)
                .arg(node.home.join("undo"))
                .arg(node.data())
                .arg(seed.to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            running.push((name, program));
        }
        let mut said = Vec::new();
        for (name, program) in running {
            let output = block_in_place(|| program.wait_with_output())?;
            let errors = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "power-off of {name}: {errors}");
            let took = String::from_utf8_lossy(&output.stdout);
            said.push(format!("{name}: {}", took.trim()));
        }
        Ok(said.join("; "))
    }

    async fn stop(&mut self, name: &str) -> Result<()> {
        let node = self.node(name)?;
        node.wanted = false;
        block_in_place(|| node.process.stop(STOPPED)).map(|_| ())
    }

    async fn start(&mut self, name: &str) -> Result<()> {
        let network = self.network.clone();
        let node = self.node(name)?;
        if node.process.is_running() {
            return Ok(());
        }
        node.start(&network)
    }

    async fn pause(&mut self, name: &str) -> Result<()> {
        self.node(name)?.process.pause()
    }

    async fn resume(&mut self, name: &str) -> Result<()> {
        self.node(name)?.process.resume()
    }

    async fn network(&mut self, cut: &BTreeSet<Link>, weather: Weather) -> Result<()> {
        self.network.set(cut, weather);
        Ok(())
    }

    async fn erase(&mut self, name: &str) -> Result<()> {
        let node = self.resting(name)?;
        disk::erase(&node.data())?;
        disk::erase(&node.home.join("undo"))?;
        std::fs::create_dir_all(node.home.join("undo"))?;
        Ok(())
    }

    async fn retire(&mut self, name: &str) -> Result<()> {
        self.erase(name).await?;
        let index = self.position(name)?;
        self.replicas.remove(index);
        Ok(())
    }

    async fn add_replica(&mut self) -> Result<Name> {
        self.start_replica(ports::free()).await
    }

    async fn fill_disk(&mut self, name: &str) -> Result<()> {
        self.stop(name).await?;
        let network = self.network.clone();
        let node = self.node(name)?;
        let small = node.home.join("small");
        block_in_place(|| disk::make_small(&node.data(), &small))?;
        node.small = true;
        let data = small.display().to_string();
        node.process.set_env("CHATTERBOX_REPLICA_DATA", &data);
        node.start(&network)?;
        block_in_place(|| disk::fill(&small))
    }

    async fn free_disk(&mut self, name: &str) -> Result<()> {
        let network = self.network.clone();
        let node = self.node(name)?;
        let small = node.home.join("small");
        if !node.small {
            return self.start(name).await;
        }
        disk::free(&small)?;
        self.stop(name).await?;
        let node = self.node(name)?;
        let data = node.home.join("data");
        block_in_place(|| {
            disk::erase(&data)?;
            std::fs::create_dir_all(&data)?;
            disk::copy_files(&small, &data)?;
            disk::unmount(&small)
        })?;
        node.small = false;
        let data = data.display().to_string();
        node.process.set_env("CHATTERBOX_REPLICA_DATA", &data);
        node.start(&network)
    }

    async fn damage(&mut self, name: &str, damage: Damage, seed: u64) -> Result<String> {
        let data = self.resting(name)?.data();
        disk::damage(&data, damage, seed)
    }

    async fn shift_clock(&mut self, name: &str, ms: i64) -> Result<()> {
        use std::os::unix::fs::FileExt as _;
        let clock = self.node(name)?.home.join("clock");
        // In place: the process has the file mapped.
        let file = std::fs::File::options().write(true).open(clock)?;
        Ok(file.write_all_at(&ms.to_le_bytes(), 0)?)
    }

    fn keep_data(&mut self, keep: bool) {
        self.keep_data = keep;
    }

    async fn data(&self, name: &str) -> Result<PathBuf> {
        let index = self.position(name)?;
        Ok(self.replicas[index].data())
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if !self.keep_data {
            for node in self.nodes_mut() {
                node.process.kill();
            }
            // What stays behind is only disk space.
            let _ = std::fs::remove_dir_all(self.root.join("nodes"));
        }
    }
}
