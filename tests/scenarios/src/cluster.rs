//! A cluster of real processes: membership, replicas, gateways.

mod compare;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use proto::v1::admin_client::AdminClient;
use proto::v1::failpoints_client::FailpointsClient;
use proto::v1::membership_client::MembershipClient;
use proto::v1::{
    GetServersRequest, GetServersResponse, GetStatusRequest, GetStatusResponse, SetFailpointRequest,
};
use tempfile::TempDir;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Channel, Endpoint};

use crate::log::{self, LogEntry};
use crate::ports;
use crate::process::{Process, Spec, chatterctl};

/// How many clusters of one test program run at once. They share two cores with everything
/// else: more at once make nothing faster and every election slower.
const CLUSTERS_MAX: usize = 1;

static ROOM: std::sync::LazyLock<Arc<Semaphore>> =
    std::sync::LazyLock::new(|| Arc::new(Semaphore::new(CLUSTERS_MAX)));

/// A replica of the cluster.
#[derive(Debug)]
pub struct Replica {
    /// Its process.
    pub process: Process,
    /// host:port of its gRPC.
    pub address: String,
    /// Its data directory.
    pub data: PathBuf,
}

/// A running cluster; everything ends and is deleted when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    /// The first voters in the order of their node ids: `replicas[0]` is r1. Then those that
    /// were added later.
    pub replicas: Vec<Replica>,
    /// The membership service.
    pub membership: Process,
    /// Address of the membership service.
    pub membership_url: String,
    /// The gateways.
    pub gateways: Vec<Process>,
    /// `http://host:port` of each gateway.
    pub gateway_urls: Vec<String>,
    /// For every replica.
    replica_env: Vec<(&'static str, String)>,
    /// For every gateway.
    gateway_env: Vec<(&'static str, String)>,
    /// Of every process that is started; `None`: those of the workspace.
    programs: Option<PathBuf>,
    directory: TempDir,
    _room: OwnedSemaphorePermit,
}

fn spec(directory: &Path, name: &str, binary: &'static str, env: &[(&str, String)]) -> Spec {
    Spec {
        name: name.to_owned(),
        binary,
        env: env
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
        log: directory.join(format!("{name}.log")),
    }
}

/// A connection to what listens at `address` (host:port).
///
/// # Errors
/// When it does not accept one within half a second.
pub async fn channel_to(address: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    Ok(endpoint
        .connect_timeout(Duration::from_millis(500))
        .connect()
        .await?)
}

/// What the replica at `address` (host:port) says of itself.
///
/// # Errors
/// When it does not accept a connection within half a second, or answers with an error. One that
/// stands still never answers.
pub async fn status_at(address: &str) -> Result<GetStatusResponse> {
    let mut admin = AdminClient::new(channel_to(address).await?);
    Ok(admin.get_status(GetStatusRequest {}).await?.into_inner())
}

impl Cluster {
    /// Starts a cluster and waits until it has a leader and a ready gateway.
    ///
    /// # Errors
    /// When it is not ready within 30 s; the error holds the end of each log.
    pub async fn start(replicas: usize) -> Result<Self> {
        Self::start_with(replicas, &[]).await
    }

    /// As [`Cluster::start`], with further settings of the replicas.
    ///
    /// # Errors
    /// See there.
    pub async fn start_with(
        replicas: usize,
        replica_env: &[(&'static str, String)],
    ) -> Result<Self> {
        Self::start_tuned(replicas, replica_env, &[]).await
    }

    /// As [`Cluster::start_with`], with further settings of the gateway: clients of a test may be
    /// faster than people.
    ///
    /// # Errors
    /// See there.
    pub async fn start_tuned(
        replicas: usize,
        replica_env: &[(&'static str, String)],
        gateway_env: &[(&'static str, String)],
    ) -> Result<Self> {
        let mut cluster = Self::spawn_with(replicas, 0, replica_env).await?;
        cluster.gateway_env = gateway_env.to_vec();
        cluster.add_gateway(1)?;
        let within = Duration::from_secs(30);
        let ready = async {
            cluster.ready(within).await?;
            cluster.told(1, within).await
        };
        match ready.await {
            Ok(()) => Ok(cluster),
            Err(error) => Err(error.context(cluster.tails())),
        }
    }

    /// Starts the processes without waiting.
    ///
    /// # Errors
    /// When a process cannot be started.
    pub async fn spawn(replicas: usize, gateways: usize) -> Result<Self> {
        Self::spawn_with(replicas, gateways, &[]).await
    }

    /// As [`Cluster::spawn`], with further settings of the replicas.
    ///
    /// # Errors
    /// When a process cannot be started.
    pub async fn spawn_with(
        replicas: usize,
        gateways: usize,
        replica_env: &[(&'static str, String)],
    ) -> Result<Self> {
        let room = Arc::clone(&ROOM).acquire_owned().await?;
        let directory = TempDir::new()?;
        Self::spawn_in(directory, None, room, replicas, gateways, replica_env)
    }

    /// As [`Cluster::spawn`], with the programs that lie in `programs`: those of another version.
    ///
    /// # Errors
    /// When a process cannot be started.
    pub async fn spawn_of(programs: &Path, replicas: usize, gateways: usize) -> Result<Self> {
        let room = Arc::clone(&ROOM).acquire_owned().await?;
        let directory = TempDir::new()?;
        Self::spawn_in(directory, Some(programs), room, replicas, gateways, &[])
    }

    /// Starts a cluster on data that is there, in the directories `membership` and `replica1`,
    /// `replica2` and so on of `directory`, and waits until it has a leader and a ready gateway.
    ///
    /// # Errors
    /// When it is not ready within 60 s; the error holds the end of each log.
    pub async fn start_from(directory: TempDir, replicas: usize) -> Result<Self> {
        let room = Arc::clone(&ROOM).acquire_owned().await?;
        let cluster = Self::spawn_in(directory, None, room, replicas, 1, &[])?;
        // Data of an older format are brought to the present one first.
        match cluster.ready(Duration::from_secs(60)).await {
            Ok(()) => Ok(cluster),
            Err(error) => Err(error.context(cluster.tails())),
        }
    }

    fn spawn_in(
        directory: TempDir,
        programs: Option<&Path>,
        room: OwnedSemaphorePermit,
        replicas: usize,
        gateways: usize,
        replica_env: &[(&'static str, String)],
    ) -> Result<Self> {
        let root = directory.path();
        let membership_port = ports::free();
        let membership_url = format!("http://127.0.0.1:{membership_port}");
        let spec = spec(
            root,
            "membership",
            "membership",
            &[
                (
                    "CHATTERBOX_MEMBERSHIP_LISTEN",
                    format!("127.0.0.1:{membership_port}"),
                ),
                (
                    "CHATTERBOX_MEMBERSHIP_DATA",
                    root.join("membership").display().to_string(),
                ),
                ("CHATTERBOX_MEMBERSHIP_CLUSTER", "scenario".to_owned()),
                ("CHATTERBOX_MEMBERSHIP_REPLICAS", replicas.to_string()),
            ],
        );
        let membership = Process::start_of(programs, spec)?;
        let mut cluster = Self {
            replicas: Vec::new(),
            membership,
            membership_url,
            gateways: Vec::new(),
            gateway_urls: Vec::new(),
            replica_env: replica_env.to_vec(),
            gateway_env: Vec::new(),
            programs: programs.map(Path::to_owned),
            directory,
            _room: room,
        };
        // Membership names the first voters in the order of their addresses.
        let mut ports: Vec<u16> = (0..replicas).map(|_| ports::free()).collect();
        ports.sort_unstable();
        for (index, port) in ports.into_iter().enumerate() {
            cluster.add_replica(index + 1, port)?;
        }
        for index in 0..gateways {
            cluster.add_gateway(index + 1)?;
        }
        Ok(cluster)
    }

    /// Starts one more replica, on an empty directory, and returns its index.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn add_standby(&mut self) -> Result<usize> {
        let index = self.replicas.len();
        self.add_replica(index + 1, ports::free())?;
        Ok(index)
    }

    fn add_replica(&mut self, number: usize, port: u16) -> Result<()> {
        let (name, address) = (format!("replica{number}"), format!("127.0.0.1:{port}"));
        let data = self.directory.path().join(&name);
        let mut env = vec![
            ("CHATTERBOX_REPLICA_LISTEN", address.clone()),
            ("CHATTERBOX_REPLICA_ADVERTISE", address.clone()),
            ("CHATTERBOX_REPLICA_DATA", data.display().to_string()),
            ("CHATTERBOX_REPLICA_MEMBERSHIP", self.membership_url.clone()),
        ];
        env.extend(self.replica_env.iter().cloned());
        let spec = spec(self.directory.path(), &name, "replica", &env);
        let process = Process::start_of(self.programs.as_deref(), spec)?;
        self.replicas.push(Replica {
            process,
            address,
            data,
        });
        Ok(())
    }

    fn add_gateway(&mut self, number: usize) -> Result<()> {
        let (name, port) = (format!("gateway{number}"), ports::free());
        let mut env = vec![
            ("CHATTERBOX_GATEWAY_LISTEN", format!("127.0.0.1:{port}")),
            ("CHATTERBOX_GATEWAY_MEMBERSHIP", self.membership_url.clone()),
            ("CHATTERBOX_GATEWAY_NAME", name.clone()),
        ];
        env.extend(self.gateway_env.iter().cloned());
        let spec = spec(self.directory.path(), &name, "gateway", &env);
        let process = Process::start_of(self.programs.as_deref(), spec)?;
        self.gateways.push(process);
        self.gateway_urls.push(format!("http://127.0.0.1:{port}"));
        Ok(())
    }

    /// Where the data of all processes are, a directory each, and their logs.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Stops every process with SIGTERM, gateways first.
    ///
    /// # Errors
    /// When one does not end within 20 s, or not with status 0.
    pub fn stop(&mut self) -> Result<()> {
        let replicas = self.replicas.iter_mut();
        let processes = self
            .gateways
            .iter_mut()
            .chain(replicas.map(|replica| &mut replica.process))
            .chain([&mut self.membership]);
        for process in processes {
            let status = process.stop(Duration::from_secs(20))?;
            ensure!(status.success(), "{status}: {}", process.output());
        }
        Ok(())
    }

    /// Waits until there is one leader with a quorum, and every gateway is ready.
    ///
    /// # Errors
    /// When that does not come within the time.
    pub async fn ready(&self, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        self.leader(within).await?;
        for url in &self.gateway_urls {
            loop {
                let answer = reqwest::get(format!("{url}/health/ready")).await;
                if answer
                    .as_ref()
                    .is_ok_and(|response| response.status() == 200)
                {
                    break;
                }
                ensure!(Instant::now() < deadline, "{url} is not ready: {answer:?}");
                sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// The index of the replica that leads with a quorum, once a majority agrees on it.
    ///
    /// # Errors
    /// When there is none within the time.
    pub async fn leader(&self, within: Duration) -> Result<usize> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(index) = self.agreed_leader().await {
                return Ok(index);
            }
            ensure!(Instant::now() < deadline, "no leader within {within:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn agreed_leader(&self) -> Option<usize> {
        let mut statuses = Vec::new();
        for index in 0..self.replicas.len() {
            statuses.extend(self.status(index).await.map(|status| (index, status)));
        }
        let newest = statuses.iter().map(|(_, status)| status.epoch).max()?;
        statuses.retain(|(_, status)| status.epoch == newest && status.voter);
        let leads = |status: &GetStatusResponse| {
            let follows = |other: &&(usize, GetStatusResponse)| other.1.leader == status.node;
            let votes = statuses.iter().filter(follows).count();
            status.role == "leader" && status.quorum_connected && votes * 2 > status.voters.len()
        };
        let found = statuses.iter().find(|(_, status)| leads(status));
        found.map(|(index, _)| *index)
    }

    /// Waits until a replica says of itself what is wanted.
    ///
    /// # Errors
    /// When it does not within the time.
    pub async fn until(
        &self,
        index: usize,
        within: Duration,
        wanted: impl Fn(&GetStatusResponse) -> bool,
    ) -> Result<GetStatusResponse> {
        let deadline = Instant::now() + within;
        loop {
            let status = self.status(index).await;
            match status {
                Ok(status) if wanted(&status) => return Ok(status),
                other => ensure!(
                    Instant::now() < deadline,
                    "{} is not as it should be: {other:?}\n{}",
                    self.replicas[index].address,
                    self.tails()
                ),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills a replica and deletes its data directory.
    ///
    /// # Errors
    /// When the directory cannot be deleted.
    pub fn wipe(&mut self, index: usize) -> Result<()> {
        let replica = &mut self.replicas[index];
        replica.process.kill();
        std::fs::remove_dir_all(&replica.data)?;
        Ok(())
    }

    /// Runs `chatterctl` on this cluster: what it said, and whether it succeeded.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn ctl(&self, args: &[&str]) -> Result<(String, bool)> {
        let place = ["--membership", &self.membership_url];
        chatterctl(&[args, &place].concat()).await
    }

    pub(crate) async fn channel(&self, index: usize) -> Result<Channel> {
        channel_to(&self.replicas[index].address).await
    }

    /// What a replica says of itself.
    ///
    /// # Errors
    /// When it does not answer within a second.
    pub async fn status(&self, index: usize) -> Result<GetStatusResponse> {
        let asked = status_at(&self.replicas[index].address);
        timeout(Duration::from_secs(1), asked).await?
    }

    /// What the membership service knows.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn servers(&self) -> Result<GetServersResponse> {
        let mut client = MembershipClient::connect(self.membership_url.clone()).await?;
        Ok(client.get_servers(GetServersRequest {}).await?.into_inner())
    }

    /// Sets a point at which a replica does something when it passes: `abort` at the first
    /// passage by `1*return`, `pause`, `off`.
    ///
    /// # Errors
    /// When the replica does not answer or was built without failpoints.
    pub async fn failpoint(&self, index: usize, name: &str, actions: &str) -> Result<()> {
        let mut client = FailpointsClient::new(self.channel(index).await?);
        let request = SetFailpointRequest {
            name: name.to_owned(),
            actions: actions.to_owned(),
        };
        client
            .set(request)
            .await
            .with_context(|| format!("set {name} of r{}", index + 1))?;
        Ok(())
    }

    /// The whole log of a replica, by `chatterctl log`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn log(&self, index: usize) -> Result<Vec<LogEntry>> {
        let address = self.replicas[index].address.clone();
        tokio::task::spawn_blocking(move || log::read(&address)).await?
    }

    /// All replica indices.
    pub fn all(&self) -> Vec<usize> {
        (0..self.replicas.len()).collect()
    }

    /// All replica indices but one.
    pub fn others(&self, index: usize) -> Vec<usize> {
        self.all()
            .into_iter()
            .filter(|&other| other != index)
            .collect()
    }

    /// The last lines of every log, for the message of a failed test.
    pub fn tails(&self) -> String {
        let replicas = self.replicas.iter().map(|replica| &replica.process);
        let mut text = String::new();
        for process in replicas
            .chain(self.gateways.iter())
            .chain([&self.membership])
        {
            let output = process.output();
            let from = output.lines().count().saturating_sub(15);
            let tail: Vec<&str> = output.lines().skip(from).collect();
            text.push_str(&format!(
                "--- {}\n{}\n",
                process.log_path().display(),
                tail.join("\n")
            ));
        }
        text
    }
}
