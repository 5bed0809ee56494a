//! Whom policies are about, and whether they are obeyed.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use scenarios::cluster::status_at;
use tokio::time::{Instant, sleep};

use super::{Kubernetes, policies};
use crate::ground::{Link, Name};

/// How long a cut may take until those at its ends notice it.
const NOTICED: Duration = Duration::from_secs(10);

impl Kubernetes {
    /// Gives the pods at the ends of cut links the names that policies call them by.
    pub(super) async fn label(&self, names: &BTreeSet<Name>) -> Result<()> {
        for name in names {
            if let Some((pod, _)) = self.pod(name) {
                let label = format!("{}={name}", policies::NAME);
                let words = ["label", "pod", &pod, &label, "--overwrite"];
                self.cluster.kubectl(&words, "").await?;
            }
        }
        Ok(())
    }

    /// Whether a link that is cut both ways between two replicas carries something still. A network
    /// need not know policies, or may keep what is connected already.
    pub(super) async fn carries(&self, cut: &BTreeSet<Link>) -> Result<Option<String>> {
        let between = |link: &&Link| {
            link.from.starts_with("replica")
                && link.to.starts_with("replica")
                && self.address(&link.from) != self.address(&link.to)
        };
        let Some(link) = cut.iter().find(between) else {
            return Ok(None);
        };
        let other = status_at(&self.address(&link.from)).await?.node;
        let deadline = Instant::now() + NOTICED;
        loop {
            let status = status_at(&self.address(&link.to)).await?;
            let heard = status
                .peers
                .iter()
                .any(|peer| peer.node == other && peer.heard);
            if !heard {
                return Ok(None);
            }
            if Instant::now() > deadline {
                let Link { from, to } = link;
                return Ok(Some(format!("{to} hears {from} after {NOTICED:?}")));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}
