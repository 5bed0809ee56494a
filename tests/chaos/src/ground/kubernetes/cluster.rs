//! What the Kubernetes mode asks of a cluster: `kubectl`, as a person would type it, in a namespace
//! of this run alone.

use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::policies::CUT;
use crate::ground::command::run;

/// How long the pods of a new cluster may take: their images may have to come first.
const ROLLED_OUT: &str = "--timeout=300s";

/// How long a replica whose pod runs may take to tell membership who it is.
const KNOWN: Duration = Duration::from_secs(60);

/// A namespace of the cluster that `kubectl` talks to.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub(super) namespace: String,
    /// Where its manifests are.
    manifests: PathBuf,
}

/// How large a cluster is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Size {
    /// Pods of replicas: voters and standbys.
    pub(super) replicas: usize,
    /// Pods of gateways.
    pub(super) gateways: usize,
}

impl Cluster {
    /// Writes the manifests of this run under `root`: the overlay `dev` in a namespace of its own,
    /// with other settings.
    ///
    /// # Errors
    /// When no cluster answers; says what is missing.
    pub(super) async fn find(
        root: &Path,
        size: Size,
        membership: &[(&str, String)],
        gateway: &[(&str, &str)],
    ) -> Result<Self> {
        let answer = run("kubectl", &["get", "--raw", "/readyz"], "").await;
        answer.context("no Kubernetes cluster answers: MODE=k8s needs one that kubectl knows")?;
        let manifests = root.join("manifests");
        std::fs::create_dir_all(&manifests)?;
        let namespace = format!("chatterbox-chaos-{}", std::process::id());
        let overlay = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s/overlays/dev");
        let overlay = overlay.canonicalize().context("k8s/overlays/dev")?;
        let overlay = relative(&manifests.canonicalize()?, &overlay);
        let text = kustomization(&namespace, &overlay, size, membership, gateway);
        std::fs::write(manifests.join("kustomization.yaml"), text)?;
        Ok(Self {
            namespace,
            manifests,
        })
    }

    /// `kubectl` in the namespace.
    ///
    /// # Errors
    /// What it said.
    pub(super) async fn kubectl(&self, args: &[&str], input: &str) -> Result<String> {
        let mut words = vec!["--namespace", self.namespace.as_str()];
        words.extend(args);
        run("kubectl", &words, input).await
    }

    /// Applies everything and waits until it runs.
    ///
    /// # Errors
    /// What kubectl said.
    pub(super) async fn up(&self) -> Result<()> {
        let path = self.manifests.to_string_lossy();
        self.kubectl(&["apply", "--kustomize", &path], "").await?;
        for workload in [
            "statefulset/membership",
            "statefulset/replica",
            "deployment/gateway",
        ] {
            self.kubectl(&["rollout", "status", workload, ROLLED_OUT], "")
                .await?;
        }
        Ok(())
    }

    /// The network policies as the manifests have them.
    ///
    /// # Errors
    /// When the cluster does not tell.
    pub(super) async fn policies(&self) -> Result<Vec<Value>> {
        let text = self
            .kubectl(&["get", "networkpolicies", "--output=json"], "")
            .await?;
        let list: Value = serde_json::from_str(&text)?;
        let mut policies = list["items"].as_array().cloned().unwrap_or_default();
        for policy in &mut policies {
            let (name, namespace) = (&policy["metadata"]["name"], &self.namespace);
            policy["metadata"] = serde_json::json!({"name": name, "namespace": namespace});
            policy["status"].take();
        }
        Ok(policies)
    }

    /// Applies these policies in this order, and takes away those that were made for a cut and are
    /// not among them.
    ///
    /// # Errors
    /// What kubectl said.
    pub(super) async fn set_policies(&self, policies: &[Value]) -> Result<()> {
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": policies});
        self.kubectl(&["apply", "--filename=-"], &list.to_string())
            .await?;
        let label = format!("--selector={CUT}=true");
        let there = ["get", "networkpolicies", &label, "--output=name"];
        let there = self.kubectl(&there, "").await?;
        let wanted = |object: &str| {
            let name = object.rsplit('/').next().unwrap_or(object);
            policies
                .iter()
                .any(|policy| policy["metadata"]["name"] == name)
        };
        let old: Vec<&str> = there.lines().filter(|object| !wanted(object)).collect();
        if old.is_empty() {
            return Ok(());
        }
        let mut words = vec!["delete"];
        words.extend(old);
        self.kubectl(&words, "").await.map(drop)
    }

    /// Runs one of the wrappers of `make k8s-…` on this namespace.
    ///
    /// # Errors
    /// What it said.
    pub(super) async fn wrapper(&self, command: &str, replicas: usize) -> Result<()> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s/cluster.sh");
        let (space, replicas) = (
            format!("SPACE={}", self.namespace),
            format!("REPLICAS={replicas}"),
        );
        let script = script.to_string_lossy();
        run("env", &[&space, &replicas, &script, command], "")
            .await
            .map(drop)
    }

    /// Lets the place of a replica that runs count again, if it was drained (see `k8s/cluster.sh`).
    ///
    /// # Errors
    /// When membership does not come to know who is there.
    pub(super) async fn undrain_place(&self, membership: &str, replica: &str) -> Result<()> {
        let ctl = [
            "exec",
            membership,
            "--",
            "/usr/local/bin/chatterctl",
            "node",
        ];
        let list = [&ctl[..], &["list", "--json"]].concat();
        let address = format!("{replica}.replica:1061");
        let deadline = tokio::time::Instant::now() + KNOWN;
        loop {
            let listed: Value = serde_json::from_str(&self.kubectl(&list, "").await?)
                .context("chatterctl node list --json")?;
            let nodes = listed["nodes"].as_array().into_iter().flatten();
            let mut here = nodes.filter(|node| node["address"] == address);
            // Of a node that membership does not know it says nothing.
            if let Some(node) = here.find(|node| node["draining"].is_boolean()) {
                if node["draining"] == true {
                    let name = format!("r{}", node["node"]);
                    let undrain = [&ctl[..], &["undrain", &name]].concat();
                    self.kubectl(&undrain, "").await?;
                }
                return Ok(());
            }
            ensure!(
                tokio::time::Instant::now() < deadline,
                "membership does not know {address} after {KNOWN:?}"
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// What a pod printed, the last lines or all (`-1`). Blocks.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub(super) fn logs(&self, pod: &str, lines: &str) -> Result<String> {
        let output = std::process::Command::new("kubectl")
            .args(["--namespace", &self.namespace, "logs", pod])
            .arg(format!("--tail={lines}"))
            .stdin(Stdio::null())
            .output()
            .context("run kubectl")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "kubectl logs {pod}: {}",
            errors.trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Removes the namespace and all that is in it, disks included, without waiting: for a drop.
    pub(super) fn remove(&self) {
        let removed = std::process::Command::new("kubectl")
            .args(["delete", "namespace", &self.namespace, "--wait=false"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        if !removed.is_ok_and(|status| status.success()) {
            eprintln!(
                "namespace {} is still there: kubectl delete namespace {0}",
                self.namespace
            );
        }
    }

    /// Deletes a pod's claim and the pod, and comes back when both are others.
    ///
    /// # Errors
    /// When that takes too long.
    pub(super) async fn delete_with_claim(&self, pod: &str, within: Duration) -> Result<()> {
        let claim = format!("persistentvolumeclaim/data-{pod}");
        let uid = ["--output=jsonpath={.metadata.uid}", "--ignore-not-found"];
        let get = ["get", claim.as_str(), uid[0], uid[1]];
        let old = self.kubectl(&get, "").await?;
        // It goes when no pod uses it any more.
        self.kubectl(
            &["delete", &claim, "--wait=false", "--ignore-not-found"],
            "",
        )
        .await?;
        let deadline = tokio::time::Instant::now() + within;
        loop {
            // Its StatefulSet may make the pod anew before the old claim is gone, and such a pod
            // waits for ever: it has to go as well.
            let pod_words = [
                "delete",
                "pod",
                pod,
                "--grace-period=1",
                "--ignore-not-found",
            ];
            self.kubectl(&pod_words, "").await?;
            for _ in 0..20 {
                let now = self.kubectl(&get, "").await?;
                if !now.is_empty() && now != old {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            ensure!(
                tokio::time::Instant::now() < deadline,
                "{claim} was not made anew within {within:?}"
            );
        }
    }
}

/// The way from one directory to another: kustomize takes no other.
fn relative(from: &Path, to: &Path) -> String {
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(Component::ParentDir, from.len() - shared);
    let way: PathBuf = up.chain(to.iter().skip(shared).copied()).collect();
    way.to_string_lossy().into_owned()
}

/// What is different from what people run.
fn kustomization(
    namespace: &str,
    overlay: &str,
    size: Size,
    membership: &[(&str, String)],
    gateway: &[(&str, &str)],
) -> String {
    let mut text = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n\
         namespace: {namespace}\nresources: [{overlay}]\nreplicas:\n  \
         - {{name: replica, count: {}}}\n  - {{name: gateway, count: {}}}\n\
         configMapGenerator:\n",
        size.replicas, size.gateways
    );
    let mut map = |name: &str, settings: &mut dyn Iterator<Item = String>| {
        text.push_str(&format!(
            "  - name: {name}\n    behavior: merge\n    literals:\n"
        ));
        for setting in settings {
            text.push_str(&format!("      - {setting}\n"));
        }
    };
    map(
        "membership",
        &mut membership
            .iter()
            .map(|(key, value)| format!("{key}={value}")),
    );
    map(
        "gateway",
        &mut gateway.iter().map(|(key, value)| format!("{key}={value}")),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_overlay_is_relative() {
        let way = |from: &str, to: &str| relative(Path::new(from), Path::new(to));
        assert_eq!(way("/a/b/c", "/a/d/e"), "../../d/e");
        assert_eq!(way("/a", "/a/b"), "b");
    }

    /// kubectl itself builds the manifests of a run: the namespace, the counts, the settings.
    #[test]
    fn kustomize_takes_the_manifests() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let overlay = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s/overlays/dev");
        let overlay = relative(&folder.path().canonicalize()?, &overlay.canonicalize()?);
        let size = Size {
            replicas: 6,
            gateways: 3,
        };
        let membership = [("CHATTERBOX_MEMBERSHIP_REPLACE_AFTER_MS", "4321".to_owned())];
        let gateway = [("CHATTERBOX_GATEWAY_SENDS_BURST", "77")];
        let text = kustomization("chaos-7", &overlay, size, &membership, &gateway);
        std::fs::write(folder.path().join("kustomization.yaml"), &text)?;
        let built = std::process::Command::new("kubectl")
            .arg("kustomize")
            .arg(folder.path())
            .output();
        let Ok(built) = built else {
            // `tests/k8s.sh` says the same: without kubectl nothing here can be tried.
            return Ok(());
        };
        ensure!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        let built = String::from_utf8(built.stdout)?;
        assert!(built.contains("kind: Namespace") && built.contains("\n  name: chaos-7\n"));
        assert!(!built.contains("namespace: chatterbox\n"));
        for wanted in ["replicas: 6", "replicas: 3", "\"4321\"", "\"77\""] {
            assert!(built.contains(wanted), "{wanted}: {built}");
        }
        Ok(())
    }
}
