//! Ports of this machine that lead to pods: `kubectl port-forward`, begun anew whenever its pod is
//! another one.
//!
//! A forward goes by way of the API server and the kubelet, so no network policy stops it: as
//! [`super::super::Place::address`] wants it.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::pods::{Pod, Pods};

/// Between two attempts: the pod may run and not listen yet.
const AGAIN: Duration = Duration::from_millis(200);

/// Which pods the doors lead to, by the names of the doors. Pods of a Deployment have new names
/// each time.
pub(super) type Doors = Arc<Mutex<BTreeMap<String, String>>>;

/// Whom a port leads to.
#[derive(Clone, Debug)]
pub(super) enum Aim {
    /// The pod of this name.
    Pod(String),
    /// Some gateway that no other door leads to.
    Door(String, Doors),
}

impl Aim {
    /// The pod, if it runs.
    fn find(&self, pods: &Pods) -> Option<(String, Pod)> {
        match self {
            Self::Pod(name) => pods
                .get(name)
                .filter(|pod| pod.runs)
                .map(|pod| (name.clone(), pod.clone())),
            Self::Door(door, doors) => {
                // Every change is whole before the guard is dropped.
                let mut doors = doors.lock().unwrap_or_else(PoisonError::into_inner);
                assign(&mut doors, door, pods);
                let name = doors.get(door)?;
                Some((name.clone(), pods.get(name)?.clone()))
            }
        }
    }
}

/// Gives a door a gateway that runs and that no other door has; it keeps the one it has.
fn assign(doors: &mut BTreeMap<String, String>, door: &str, pods: &Pods) {
    let runs = |name: &String| pods.get(name).is_some_and(|pod| pod.runs);
    doors.retain(|_, name| runs(name));
    if doors.contains_key(door) {
        return;
    }
    let free = pods.iter().find(|(name, pod)| {
        pod.component == "gateway" && pod.runs && !doors.values().any(|taken| taken == *name)
    });
    if let Some((name, _)) = free {
        doors.insert(door.to_owned(), name.clone());
    }
}

/// One port. It leads nowhere when it is dropped.
#[derive(Debug)]
pub(super) struct Forward {
    /// `127.0.0.1:port`.
    pub(super) address: String,
    task: JoinHandle<()>,
}

impl Forward {
    /// Opens a port of this machine to a port of a pod, now and whenever the pod is another one.
    ///
    /// # Errors
    /// When there is no free port.
    pub(super) fn open(
        namespace: &str,
        aim: Aim,
        port: u16,
        pods: watch::Receiver<Pods>,
    ) -> Result<Self> {
        // Taken by kubectl a moment later; nobody else asks the kernel for this very one.
        let free = TcpListener::bind("127.0.0.1:0").context("a free port")?;
        let address = free.local_addr()?;
        drop(free);
        let ports = format!("{}:{port}", address.port());
        let task = tokio::spawn(lead(namespace.to_owned(), aim, ports, pods));
        Ok(Self {
            address: address.to_string(),
            task,
        })
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn lead(namespace: String, aim: Aim, ports: String, mut pods: watch::Receiver<Pods>) {
    loop {
        let found = aim.find(&pods.borrow_and_update());
        let Some((name, pod)) = found else {
            if pods.changed().await.is_err() {
                return;
            }
            continue;
        };
        let target = format!("pod/{name}");
        let child = Command::new("kubectl")
            .args(["--namespace", &namespace, "port-forward", &target, &ports])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        if let Ok(mut child) = child {
            let same = |pods: &Pods| {
                pods.get(&name).is_some_and(|now| {
                    now.uid == pod.uid && now.runs && now.restarts == pod.restarts
                })
            };
            tokio::select! {
                _ = child.wait() => {}
                gone = pods.wait_for(|pods| !same(pods)) => {
                    if gone.is_err() {
                        return;
                    }
                }
            }
        }
        sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two doors never lead to one gateway, a door keeps its gateway as long as it runs, and gets
    /// another one when it does not.
    #[test]
    fn doors_share_nobody() {
        let gateway = |runs| Pod {
            component: "gateway".to_owned(),
            runs,
            ..Pod::default()
        };
        let mut pods: Pods = [
            ("gateway-x", true),
            ("gateway-y", true),
            ("replica-0", true),
        ]
        .map(|(name, runs)| (name.to_owned(), gateway(runs)))
        .into();
        pods.entry("replica-0".to_owned()).or_default().component = "replica".to_owned();
        let mut doors = BTreeMap::new();
        for door in ["a", "b", "c"] {
            assign(&mut doors, door, &pods);
        }
        assert_eq!(doors.len(), 2, "{doors:?}");
        let (first, second) = (doors["a"].clone(), doors["b"].clone());
        assert_ne!(first, second);
        pods.insert(first, gateway(false));
        pods.insert("gateway-z".to_owned(), gateway(true));
        for door in ["a", "b"] {
            assign(&mut doors, door, &pods);
        }
        assert_eq!(doors["a"], "gateway-z");
        assert_eq!(doors["b"], second);
    }
}
