//! Waits until a local cluster can be used, and says what it waits for.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use proto::v1::GetStatusResponse;
use proto::v1::get_status_response::Phase;

use super::logs;
use super::plan::Kind;
use super::state::{Process, State};
use crate::output::Output;
use crate::remote;

const PAUSE: Duration = Duration::from_millis(40);

/// A process that ends this often while the cluster starts will not stop doing so.
const RESTARTS_MAX: u32 = 3;

const STILL_RUNNING: &str = "What has started still runs: chatterctl status, chatterctl down";

/// How far the start is. In the order in which it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    Starting,
    /// Replicas that have their place in the cluster, of how many.
    Formed(usize, usize),
    /// The gateway serves, but not every replica is there.
    Usable,
    /// This one leads, and all follow it.
    Leads(String),
    /// This one leads, and every gateway serves.
    Ready(String),
}

impl Progress {
    fn words(&self) -> Option<String> {
        match self {
            Self::Starting | Self::Usable | Self::Formed(0, _) => None,
            Self::Formed(some, all) => Some(format!("  {some} of {all} replicas are formed")),
            Self::Leads(name) => Some(format!("  {name} leads; the gateway is not ready yet")),
            Self::Ready(name) => Some(format!("  {name} leads; the gateway is ready")),
        }
    }
}

/// How long a cluster that people can use already waits for the rest of its replicas. One that
/// lost its disk never comes back, and must not keep the others from being used.
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits until it is ready; an error names who is not, with the end of its log.
pub(crate) async fn wait(
    data: &Path,
    within: Duration,
    output: &mut Output,
    mut supervisor_lives: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + within;
    let mut said = None;
    let mut usable_since = None;
    loop {
        let Some(state) = State::load(data)? else {
            bail!("cluster.json has gone")
        };
        let (progress, missing) = look(&state).await;
        let words = progress.words();
        if words.is_some() && words != said {
            output.line(words.as_deref().unwrap_or_default())?;
            said = words;
        }
        match progress {
            Progress::Ready(_) => return Ok(()),
            Progress::Usable
                if usable_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE =>
            {
                output.line(&format!(
                    "  going on without {missing}: see chatterctl status"
                ))?;
                return Ok(());
            }
            _ => {}
        }
        if !supervisor_lives() {
            bail!(
                "the supervisor has ended:\n{}",
                logs::tail(data, "supervisor", 8)
            );
        }
        let failing = state
            .processes
            .iter()
            .find(|process| process.restarts >= RESTARTS_MAX);
        if let Some(Process { name, restarts, .. }) = failing {
            let log = logs::tail(data, name, 8);
            bail!("{name} ended {restarts} times; the end of its log:\n{log}\n{STILL_RUNNING}");
        }
        if Instant::now() > deadline {
            let log = logs::tail(data, &missing, 8);
            bail!(
                "not ready within {} s: {missing} is not; the end of its log:\n{log}\n\
                 {STILL_RUNNING}",
                within.as_secs()
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How far it is, and the name of a process that it waits for.
async fn look(state: &State) -> (Progress, String) {
    let of = |kind: Kind| {
        state
            .processes
            .iter()
            .filter(move |process| process.kind == kind)
    };
    let mut statuses = Vec::new();
    let mut missing = "membership".to_owned();
    let all = of(Kind::Replica).count();
    for replica in of(Kind::Replica) {
        match remote::status(&replica.address).await {
            Ok(status) if status.phase() == Phase::Member => statuses.push(status),
            Ok(_) | Err(_) => missing.clone_from(&replica.name),
        }
    }
    if statuses.is_empty() {
        return (Progress::Starting, missing);
    }
    let Some(leader) = leader(&statuses, all) else {
        let leads = statuses
            .iter()
            .any(|s| s.role == "leader" && s.quorum_connected);
        let gone = statuses.len() < all;
        if leads && gone && unready_gateway(state).await.is_none() {
            return (Progress::Usable, missing);
        }
        return (Progress::Formed(statuses.len(), all), missing);
    };
    match unready_gateway(state).await {
        Some(gateway) => (Progress::Leads(format!("r{leader}")), gateway),
        None => (Progress::Ready(format!("r{leader}")), missing),
    }
}

/// The name of a gateway that does not serve yet.
async fn unready_gateway(state: &State) -> Option<String> {
    for gateway in state
        .processes
        .iter()
        .filter(|process| process.kind == Kind::Gateway)
    {
        let answer = reqwest::get(format!("http://{}/health/ready", gateway.address)).await;
        if !answer.is_ok_and(|answer| answer.status().is_success()) {
            return Some(gateway.name.clone());
        }
    }
    None
}

/// The leader on which all replicas agree, and which has a quorum.
fn leader(statuses: &[GetStatusResponse], all: usize) -> Option<u64> {
    let leader = statuses
        .iter()
        .find(|s| s.role == "leader" && s.quorum_connected)?
        .node;
    let agreed = statuses.iter().all(|status| status.leader == leader);
    (agreed && statuses.len() == all).then_some(leader)
}

#[cfg(test)]
mod tests {
    use super::{GetStatusResponse, leader};

    fn status(node: u64, leader: u64) -> GetStatusResponse {
        let role = if node == leader { "leader" } else { "follower" };
        GetStatusResponse {
            node,
            leader,
            role: role.to_owned(),
            quorum_connected: true,
            ..Default::default()
        }
    }

    #[test]
    fn a_leader_is_one_that_all_name() {
        assert_eq!(
            leader(&[status(1, 2), status(2, 2), status(3, 2)], 3),
            Some(2)
        );
        assert_eq!(
            leader(&[status(1, 2), status(2, 2)], 3),
            None,
            "one is not there"
        );
        assert_eq!(leader(&[status(1, 0), status(2, 2), status(3, 2)], 3), None);
        let mut alone = status(2, 2);
        alone.quorum_connected = false;
        assert_eq!(leader(&[status(1, 2), alone, status(3, 2)], 3), None);
    }
}
