//! What the compose mode asks of the engine: the `docker` and compose commands, as a person
//! would type them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};

use crate::ground::command::run;

/// The image that is run; `make images` builds it.
const IMAGE: &str = "chatterbox:local";

/// How a container is.
#[derive(Clone, Debug, serde::Deserialize)]
pub(super) struct State {
    /// Whether its process runs; a paused one does, too.
    #[serde(rename = "Running")]
    pub(super) running: bool,
    /// Its process on this machine; 0 when it does not run.
    #[serde(rename = "Pid")]
    pub(super) pid: u32,
}

/// The engine, and the project whose containers are ours.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    project: String,
    compose: Vec<String>,
    subnet: u8,
}

impl Engine {
    /// Finds the engine and compose, v2 or v1, and makes the settings of this run under `root`.
    ///
    /// # Errors
    /// Says what is missing and where it comes from.
    pub(super) async fn find(
        root: &Path,
        membership: &[(String, String)],
        gateway: &[(&str, &str)],
    ) -> Result<Self> {
        let version = run(
            "docker",
            &["version", "--format", "{{.Server.Version}}"],
            "",
        )
        .await;
        version.context("no Docker engine answers: MODE=compose needs one")?;
        let image = run(
            "docker",
            &["image", "inspect", "--format", "{{.Id}}", IMAGE],
            "",
        )
        .await;
        image.with_context(|| format!("there is no image {IMAGE}: `make images` builds it"))?;
        let v2 = run("docker", &["compose", "version"], "").await.is_ok();
        let compose: &[&str] = if v2 {
            &["docker", "compose"]
        } else {
            &["docker-compose"]
        };
        let project = format!("chaos{}", std::process::id());
        // 10.200.0.0/16 to 10.249.0.0/16: one of fifty, so that two runs rarely want the same.
        let subnet = 200 + u8::try_from(std::process::id() % 50).unwrap_or_default();
        let settings = root.join("compose.override.yaml");
        std::fs::write(&settings, settings_yaml(subnet, membership, gateway))?;
        let file = compose_file()?;
        // Ports of the engine's choice: a cluster that somebody uses has the usual ones.
        // Plain text: the judge reads the logs of the replicas as a stranger.
        let ports = [
            "CHATTERBOX_PUBLISH=0",
            "CHATTERBOX_PUBLISH_SECOND=0",
            "CHATTERBOX_CERTIFICATES=",
        ];
        let words = ["env"]
            .into_iter()
            .chain(ports)
            .chain(compose.iter().copied());
        let mut words: Vec<String> = words.map(str::to_owned).collect();
        for (flag, value) in [
            ("-p", &project),
            ("-f", &file),
            ("-f", &path_text(&settings)?),
        ] {
            words.extend([flag.to_owned(), value.clone()]);
        }
        words.extend(["--profile".to_owned(), "two-gateways".to_owned()]);
        Ok(Self {
            project,
            compose: words,
            subnet,
        })
    }

    async fn compose(&self, args: &[&str]) -> Result<String> {
        let [program, words @ ..] = self.compose.as_slice() else {
            bail!("no compose command");
        };
        let mut all: Vec<&str> = words.iter().map(String::as_str).collect();
        all.extend(args);
        run(program, &all, "").await
    }

    /// Starts what the compose file names.
    ///
    /// # Errors
    /// What compose said.
    pub(super) async fn up(&self) -> Result<()> {
        self.compose(&["up", "-d", "--no-build"]).await.map(drop)
    }

    /// Removes everything of the project, volumes included, without an answer: for a drop.
    pub(super) fn remove_all(&self, extra: &[String]) {
        let quiet = |program: &str, args: &[&str]| {
            // What cannot be removed is named by `docker ps`; nothing here can help it.
            let _ = std::process::Command::new(program)
                .args(args)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        };
        for name in extra {
            quiet("docker", &["rm", "-f", "-v", &self.container(name)]);
            quiet("docker", &["volume", "rm", "-f", &self.volume(name)]);
        }
        if let [program, words @ ..] = self.compose.as_slice() {
            let mut all: Vec<&str> = words.iter().map(String::as_str).collect();
            all.extend(["down", "-v", "-t", "1"]);
            quiet(program, &all);
        }
    }

    /// The address that a service has; see `settings_yaml`.
    #[must_use]
    pub(super) fn ip(&self, name: &str) -> String {
        let (kind, number) = name.split_once('-').unwrap_or((name, "0"));
        let number: u8 = number.parse().unwrap_or_default();
        let last = match kind {
            "replica" => 100_u8.saturating_add(number),
            "gateway" => 50_u8.saturating_add(number),
            _ => 10,
        };
        format!("10.{}.0.{last}", self.subnet)
    }

    /// What the container of a service is found by, whether compose made it or not.
    fn labels(&self, name: &str) -> [String; 2] {
        let project = &self.project;
        [
            format!("com.docker.compose.project={project}"),
            format!("com.docker.compose.service={name}"),
        ]
    }

    /// The name of a container that compose does not know.
    fn container(&self, name: &str) -> String {
        format!("{}-extra-{name}", self.project)
    }

    fn volume(&self, name: &str) -> String {
        format!("{}_{name}", self.project)
    }

    /// Starts a replica that the compose file does not name, with the settings of those that it
    /// names.
    ///
    /// # Errors
    /// What docker said.
    pub(super) async fn run_replica(&self, name: &str) -> Result<()> {
        let network = format!("{}_cluster", self.project);
        let volume = format!("{}:/data", self.volume(name));
        let [project, service] = self.labels(name);
        let advertise = format!("CHATTERBOX_REPLICA_ADVERTISE={name}:1061");
        let (container, ip) = (self.container(name), self.ip(name));
        let args = [
            "run",
            "-d",
            "--name",
            &container,
            "--network",
            &network,
            "--network-alias",
            name,
            "--ip",
            &ip,
            "--label",
            &project,
            "--label",
            &service,
            "--read-only",
            "--tmpfs",
            "/tmp:size=16m,mode=1777",
            "--cap-drop",
            "ALL",
            "--security-opt",
            "no-new-privileges:true",
            "--pids-limit",
            "256",
            "--memory",
            "1g",
            "--dns-opt",
            "timeout:1",
            "--dns-opt",
            "attempts:1",
            "--stop-timeout",
            "20",
            "--restart",
            "unless-stopped",
            "-v",
            &volume,
            "-e",
            "CHATTERBOX_REPLICA_LISTEN=0.0.0.0:1061",
            "-e",
            "CHATTERBOX_REPLICA_DATA=/data",
            "-e",
            "CHATTERBOX_REPLICA_MEMBERSHIP=http://membership:1051",
            "-e",
            &advertise,
            IMAGE,
            "/usr/local/bin/replica",
        ];
        run("docker", &args, "").await.map(drop)
    }

    /// The last lines that a container printed, `count` or `all`.
    ///
    /// # Errors
    /// When there is no such container.
    pub(super) fn logs(&self, name: &str, count: &str) -> Result<String> {
        let [project, service] = self.labels(name).map(|label| format!("label={label}"));
        let docker = |args: &[&str]| std::process::Command::new("docker").args(args).output();
        let ids = docker(&["ps", "-aq", "--filter", &project, "--filter", &service])?;
        let ids = String::from_utf8_lossy(&ids.stdout).into_owned();
        let id = ids
            .lines()
            .next()
            .with_context(|| format!("there is no container of {name}"))?;
        let output = docker(&["logs", "--tail", count, id])?;
        let (out, err) = (output.stdout, output.stderr);
        Ok(String::from_utf8_lossy(&[out, err].concat()).into_owned())
    }

    /// The container of a service.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn id(&self, name: &str) -> Result<String> {
        let [project, service] = self.labels(name).map(|label| format!("label={label}"));
        let ids = run(
            "docker",
            &["ps", "-aq", "--filter", &project, "--filter", &service],
            "",
        )
        .await?;
        let first = ids.lines().next().map(str::to_owned);
        first.with_context(|| format!("there is no container of {name}"))
    }

    /// How a container is.
    ///
    /// # Errors
    /// When it is gone.
    pub(super) async fn state(&self, id: &str) -> Result<State> {
        let text = run(
            "docker",
            &["inspect", "--format", "{{json .State}}", id],
            "",
        )
        .await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Where this machine has the volume of a container.
    ///
    /// # Errors
    /// When it has none, or the engine does not run here.
    pub(super) async fn data(&self, id: &str) -> Result<PathBuf> {
        let format = "{{range .Mounts}}{{if eq .Destination \"/data\"}}{{.Source}}{{end}}{{end}}";
        let source = run("docker", &["inspect", "--format", format, id], "").await?;
        let path = PathBuf::from(source);
        ensure!(
            path.is_dir(),
            "{}: not a directory of this machine",
            path.display()
        );
        Ok(path)
    }

    /// Removes a container that does not run, with its volume.
    ///
    /// # Errors
    /// What docker said.
    pub(super) async fn remove(&self, name: &str, id: &str) -> Result<()> {
        run("docker", &["rm", "-f", "-v", id], "").await?;
        run("docker", &["volume", "rm", "-f", &self.volume(name)], "")
            .await
            .map(drop)
    }
}

fn path_text(path: &Path) -> Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.with_context(|| format!("{}: not in UTF-8", path.display()))
}

fn compose_file() -> Result<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker/compose.yaml");
    path_text(&file.canonicalize().context("docker/compose.yaml")?)
}

/// What is different from what people run: addresses that stay, and settings for a test.
fn settings_yaml(subnet: u8, membership: &[(String, String)], gateway: &[(&str, &str)]) -> String {
    let mut text = format!(
        "networks:\n  cluster:\n    ipam:\n      config: [{{subnet: 10.{subnet}.0.0/24}}]\nservices:\n"
    );
    let mut service = |name: &str, last: u8, more: &str, env: &[(String, String)]| {
        text.push_str(&format!(
            "  {name}:\n    networks:\n      cluster: {{ipv4_address: 10.{subnet}.0.{last}}}\n{more}"
        ));
        if !env.is_empty() {
            text.push_str("    environment:\n");
        }
        for (key, value) in env {
            text.push_str(&format!("      {key}: \"{value}\"\n"));
        }
    };
    service("membership", 10, "", membership);
    for number in 1..=3 {
        service(&format!("replica-{number}"), 100 + number, "", &[]);
    }
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let gateway: Vec<(String, String)> = gateway.iter().map(owned).collect();
    for number in 1..=2 {
        // A port that nobody else has: clients use the address.
        let more = "      public: {}\n";
        service(&format!("gateway-{number}"), 50 + number, more, &gateway);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::settings_yaml;

    #[test]
    fn settings_name_every_service_of_the_compose_file_with_an_address_of_its_own() {
        let text = settings_yaml(7, &[("A".to_owned(), "1".to_owned())], &[("B", "2")]);
        let addresses: Vec<&str> = text.split("ipv4_address: ").skip(1).collect();
        let mut addresses: Vec<&str> = addresses
            .iter()
            .filter_map(|a| a.split('}').next())
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), 6, "{text}");
        assert!(
            text.contains("A: \"1\"") && text.matches("B: \"2\"").count() == 2,
            "{text}"
        );
    }
}
