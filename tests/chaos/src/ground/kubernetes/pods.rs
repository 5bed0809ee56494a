//! What the API server tells of our pods, as it happens: one `kubectl get --watch` for all.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::timeout;

/// A pod, as far as the nemesis asks.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Pod {
    /// Another one of the same name has another.
    pub(super) uid: String,
    /// `replica`, `gateway`, `membership`.
    pub(super) component: String,
    /// The machine it was given to; empty while it has none.
    pub(super) machine: String,
    /// Whether its container runs, and it was not asked to end.
    pub(super) runs: bool,
    /// How often its container ended by itself.
    pub(super) restarts: u32,
}

/// The pods by their names.
pub(super) type Pods = BTreeMap<String, Pod>;

/// The parts of the API's object that are read.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Object,
}

#[derive(Debug, Deserialize)]
struct Object {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    uid: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    deletion_timestamp: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    node_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    restart_count: u32,
    #[serde(default)]
    state: BTreeMap<String, serde_json::Value>,
}

impl From<Object> for Pod {
    fn from(object: Object) -> Self {
        let containers = &object.status.container_statuses;
        let component = object.metadata.labels.get(COMPONENT);
        Self {
            uid: object.metadata.uid,
            component: component.cloned().unwrap_or_default(),
            machine: object.spec.node_name,
            runs: object.metadata.deletion_timestamp.is_none()
                && !containers.is_empty()
                && containers.iter().all(|c| c.state.contains_key("running")),
            restarts: containers.iter().map(|c| c.restart_count).sum(),
        }
    }
}

/// Which service a pod is of.
pub(super) const COMPONENT: &str = "app.kubernetes.io/component";

/// Watches the pods of a namespace until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    /// The newest that is known.
    pub(super) pods: watch::Receiver<Pods>,
    child: Arc<Mutex<Option<Child>>>,
}

impl Watch {
    /// Begins.
    pub(super) fn start(namespace: &str) -> Self {
        let (show, pods) = watch::channel(Pods::new());
        let child = Arc::new(Mutex::new(None));
        let (namespace, held) = (namespace.to_owned(), Arc::clone(&child));
        std::thread::spawn(move || {
            // The API server ends a watch now and then: another one lists everything anew.
            while let Ok(mut stream) = begin(&namespace, &held) {
                read(&mut stream, &show);
                if show.is_closed() {
                    break;
                }
            }
        });
        Self { pods, child }
    }

    /// Waits until a pod of this name is as asked.
    ///
    /// # Errors
    /// When it is not in time: how it is.
    pub(super) async fn until(
        &self,
        name: &str,
        within: Duration,
        what: &str,
        holds: impl Fn(Option<&Pod>) -> bool,
    ) -> Result<()> {
        let mut pods = self.pods.clone();
        let held = timeout(within, pods.wait_for(|pods| holds(pods.get(name)))).await;
        let known = self.pods.borrow().get(name).cloned();
        held.with_context(|| format!("{name} {what} not within {within:?}: {known:?}"))?
            .context("the pods are watched no more")?;
        Ok(())
    }

    /// The pod of this name that is there now.
    pub(super) fn pod(&self, name: &str) -> Option<Pod> {
        self.pods.borrow().get(name).cloned()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut held = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut child) = held.take() {
            // It may have ended by itself: then there is nothing to end.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn begin(namespace: &str, held: &Mutex<Option<Child>>) -> Result<impl std::io::Read + use<>> {
    let mut child = Command::new("kubectl")
        .args(["--namespace", namespace, "get", "pods", "--watch"])
        .args(["--output-watch-events", "--output=json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("run kubectl")?;
    let stdout = child.stdout.take().context("kubectl has no output")?;
    let before = held
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .replace(child);
    if let Some(mut before) = before {
        let _ = before.wait();
    }
    Ok(BufReader::new(stdout))
}

/// Shows what a stream of events tells, until it ends.
fn read(stream: &mut impl std::io::Read, show: &watch::Sender<Pods>) {
    let mut pods = Pods::new();
    let events = serde_json::Deserializer::from_reader(stream).into_iter::<Event>();
    for event in events {
        let Ok(Event { kind, object }) = event else {
            return;
        };
        let name = object.metadata.name.clone();
        if kind == "DELETED" {
            pods.remove(&name);
        } else {
            pods.insert(name, object.into());
        }
        show.send_replace(pods.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `kubectl get pods --watch --output-watch-events --output=json` prints: a pod that is
    /// made, runs, is asked to end, is gone.
    #[test]
    fn the_life_of_a_pod_is_read() {
        let event = |kind: &str, uid: &str, rest: &str, status: &str| {
            format!(
                r#"{{"type":"{kind}","object":{{"kind":"Pod","metadata":{{"name":"replica-1",
                "uid":"{uid}","labels":{{"{COMPONENT}":"replica"}}{rest}}},
                "spec":{{"nodeName":"m1"}},"status":{{{status}}}}}}}
                "#
            )
        };
        let running = r#""containerStatuses":[{"restartCount":2,"state":{"running":{}}}]"#;
        let ends = r#","deletionTimestamp":"2026-01-01T00:00:00Z""#;
        let told = |events: &[&String]| {
            let (show, pods) = watch::channel(Pods::new());
            let text: String = events.iter().map(|event| event.as_str()).collect();
            read(&mut text.as_bytes(), &show);
            pods.borrow().get("replica-1").cloned()
        };
        let made = event("ADDED", "a", "", "");
        let runs = event("MODIFIED", "a", "", running);
        let asked = event("MODIFIED", "a", ends, running);
        let gone = event("DELETED", "a", ends, running);
        assert!(told(&[&made]).is_some_and(|pod| !pod.runs && pod.uid == "a"));
        let pod = told(&[&made, &runs]);
        assert!(pod.is_some_and(|pod| pod.runs && pod.restarts == 2 && pod.machine == "m1"));
        assert!(told(&[&made, &runs, &asked]).is_some_and(|pod| !pod.runs));
        assert_eq!(told(&[&made, &runs, &gone]), None);
    }
}
