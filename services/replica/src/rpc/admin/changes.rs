//! Changes of the cluster, which only the leader can make: a new node, other voters, another
//! leader. Each answer is true when it is given: the change is applied, or active, here.

use std::collections::BTreeSet;
use std::sync::Arc;

use paxos::ids::{Epoch, NodeId, Slot};
use paxos::limits::VOTERS_MAX;
use paxos::output::RejectReason;
use paxos::status::{RoleName, Status};
use proto::v1 as pb;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::driver::{Ask, Refusal};
use crate::errors::Refused;
use crate::limits::{CAUGHT_UP_SLOTS, CHANGE_WAIT, STATUS_EVERY};
use crate::role::Member;

/// Gives a disk its node id.
pub(super) async fn join(
    member: &Arc<Member>,
    request: pb::JoinRequest,
) -> Result<pb::JoinResponse, Refused> {
    let pb::JoinRequest { disk_id, address } = request;
    let disk = Uuid::try_parse(&disk_id)
        .map_err(|_| Refused::Bad(format!("disk_id `{disk_id}` is no UUID")))?;
    if ops::net::host_and_port(&address).is_none() {
        return Err(Refused::Bad(format!(
            "address `{address}` must be host:port"
        )));
    }
    let founders = member.cluster.founders.values();
    if founders.into_iter().any(|founder| founder.disk_id == disk) {
        let why = format!("disk {disk} is one of the first voters' already");
        return Err(Refused::NotPossible(why));
    }
    let payload = machine::encode_register_node(disk, &address);
    let slot = ask(member, Ask::Register(payload)).await?;
    let found = member
        .reads
        .read(slot.0, move |reader| reader.node_by_disk(disk))
        .await?;
    // Another entry took the slot, or the address is none that can be kept.
    let node = found
        .value
        .ok_or(Refused::NotNow("the registration was not applied"))?;
    Ok(pb::JoinResponse {
        node: node.node.0,
        genesis: Some(member.cluster.genesis.clone()),
    })
}

/// Ends the epoch; the next one has these voters.
pub(super) async fn reconfigure(
    member: &Arc<Member>,
    request: pb::ReconfigureRequest,
) -> Result<pb::ReconfigureResponse, Refused> {
    let pb::ReconfigureRequest {
        expected_epoch,
        voters,
        force,
    } = request;
    let wanted: BTreeSet<NodeId> = voters.iter().copied().map(NodeId).collect();
    if wanted.is_empty() || wanted.len() > VOTERS_MAX || wanted.len() != voters.len() {
        let why = format!("voters: 1 to {VOTERS_MAX} different nodes are needed");
        return Err(Refused::Bad(why));
    }
    let status = member.driver.status_now().await;
    require_leader(member, &status)?;
    require_known(member, &wanted).await?;
    refuse_removed(&status, &wanted)?;
    if !force {
        require_caught_up(&status, &wanted)?;
    }
    let expected = Epoch(expected_epoch);
    let voters = wanted.clone();
    let slot = ask(member, Ask::Reconfigure { expected, voters }).await?;
    // The answer is given when the epoch is active here: from then on its voters decide.
    let began = wait_until(member, |status| status.configuration.start >= slot).await?;
    let configuration = began.configuration;
    if configuration.start != slot || configuration.voters != wanted {
        return Err(Refused::EpochChanged(configuration.epoch.0));
    }
    Ok(pb::ReconfigureResponse {
        epoch: configuration.epoch.0,
        voters: configuration.voters.iter().map(|node| node.0).collect(),
    })
}

/// Hands the lead over.
pub(super) async fn transfer(member: &Arc<Member>, to: NodeId) -> Result<(), Refused> {
    let status = member.driver.status_now().await;
    require_leader(member, &status)?;
    if status.node == to {
        return Ok(());
    }
    let Some(peer) = status.peers.get(&to) else {
        return Err(Refused::NotPossible(format!(
            "{to} does not vote in this epoch"
        )));
    };
    if !peer.heard {
        // It may have started a moment ago.
        return Err(Refused::NotNow("that node does not answer this leader"));
    }
    member.driver.transfer(to).map_err(refused_by_driver)?;
    wait_until(member, |status| status.leader == Some(to)).await?;
    Ok(())
}

/// Every node, as this replica knows it.
pub(super) async fn nodes(member: &Arc<Member>) -> pb::ListNodesResponse {
    let status = member.driver.status_now().await;
    let voters = &status.configuration.voters;
    let now = member.now();
    let node = |(node, known): (NodeId, crate::directory::Known)| {
        let peer = status.peers.get(&node);
        let learner = status.learners.get(&node);
        let heard = peer
            .and_then(|peer| peer.last_heard)
            .or_else(|| learner.map(|learner| learner.last_heard));
        let decided = peer
            .map(|peer| peer.decided)
            .or_else(|| learner.map(|learner| learner.decided));
        let own = (node == status.node).then_some(status.decided);
        pb::Node {
            node: node.0,
            disk_id: known.disk_id.to_string(),
            address: known.address,
            voter: voters.contains(&node),
            last_heard_ms: heard.map(|heard| now.since(heard)),
            decided: own.or(decided).map_or(0, |slot| slot.0),
        }
    };
    pb::ListNodesResponse {
        nodes: member.directory.all().into_iter().map(node).collect(),
        epoch: status.configuration.epoch.0,
        applied: member.signals.applied().0,
    }
}

/// Whoever wants a slot from the core waits for it here.
async fn ask(member: &Member, ask: Ask) -> Result<Slot, Refused> {
    match member.driver.ask(ask).await {
        Ok(slot) => Ok(slot),
        Err(Refusal::Core(reason)) => Err(refused_by_core(member, reason)),
        Err(Refusal::NoAnswer) => Err(Refused::NotNow("no answer from the protocol in time")),
    }
}

const fn refused_by_driver(_: Refusal) -> Refused {
    Refused::NotNow("too many questions are waiting")
}

fn refused_by_core(member: &Member, reason: RejectReason) -> Refused {
    match reason {
        RejectReason::NotLeader { leader } => not_leader(member, leader),
        RejectReason::NoQuorum => Refused::NotNow("no majority is heard"),
        RejectReason::WindowFull => Refused::NotNow("too much is under way"),
        RejectReason::Unsettled => Refused::NotNow("an epoch or the lead is changing hands"),
        RejectReason::NoSpace => Refused::NotNow("the disks of a majority are nearly full"),
        RejectReason::EpochChanged { epoch } => Refused::EpochChanged(epoch.0),
        RejectReason::TooLarge | RejectReason::BadVoters => {
            Refused::Bad("these are the voters already, or none that can be".to_owned())
        }
    }
}

/// The refusal that names whom to ask instead.
pub(in crate::rpc) fn not_leader(member: &Member, leader: Option<NodeId>) -> Refused {
    let leader = leader.filter(|node| *node != member.cluster.node);
    let named = leader.and_then(|node| Some((node.0, member.directory.address_of(node)?)));
    Refused::NotLeader("this replica does not lead", named)
}

fn require_leader(member: &Member, status: &Status) -> Result<(), Refused> {
    if status.role == RoleName::Leader {
        Ok(())
    } else {
        Err(not_leader(member, status.leader))
    }
}

/// A `Seal` names only nodes that exist: the log would not refuse others.
async fn require_known(member: &Member, wanted: &BTreeSet<NodeId>) -> Result<(), Refused> {
    let mut unknown: BTreeSet<NodeId> = wanted
        .iter()
        .filter(|node| **node <= NodeId::GENESIS_MAX)
        .filter(|node| !member.cluster.founders.contains_key(node))
        .copied()
        .collect();
    let asked = wanted.clone();
    let later = member
        .reads
        .read(0, move |reader| reader.unknown_nodes(&asked))
        .await?;
    unknown.extend(later.value);
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refused::NotPossible(format!(
        "no such nodes: {unknown:?}; `chatterctl node list` shows those there are"
    )))
}

/// An id votes once. A first voter that votes no more was removed, and comes back as a new node;
/// a later one that was removed is known by its own disk only.
fn refuse_removed(status: &Status, wanted: &BTreeSet<NodeId>) -> Result<(), Refused> {
    let removed = |node: &&NodeId| {
        **node <= NodeId::GENESIS_MAX && !status.configuration.voters.contains(node)
    };
    match wanted.iter().find(removed) {
        None => Ok(()),
        Some(node) => Err(Refused::NotPossible(format!(
            "{node} was removed from the voters for ever: its replica comes back as a new node,              see `chatterctl node list`"
        ))),
    }
}

/// A new voter that lacks much would hold up the new epoch until it has it.
fn require_caught_up(status: &Status, wanted: &BTreeSet<NodeId>) -> Result<(), Refused> {
    for node in wanted {
        if *node == status.node || status.configuration.voters.contains(node) {
            continue;
        }
        let learner = status.learners.get(node);
        let lag = learner.map(|learner| status.decided.distance_above(learner.decided));
        match lag {
            Some(lag) if lag <= CAUGHT_UP_SLOTS => {}
            Some(lag) => {
                let why = format!("{node} lacks {lag} slots; wait until it has caught up");
                return Err(Refused::NotPossible(why));
            }
            None => {
                let why = format!("{node} was not heard by the leader of late");
                return Err(Refused::NotPossible(why));
            }
        }
    }
    Ok(())
}

/// Waits until the replica's own status says so.
async fn wait_until(member: &Member, reached: impl Fn(&Status) -> bool) -> Result<Status, Refused> {
    let deadline = Instant::now() + CHANGE_WAIT;
    let looked = timeout(CHANGE_WAIT, async {
        loop {
            let status = member.driver.status_now().await;
            if reached(&status) || Instant::now() >= deadline {
                return status;
            }
            sleep(STATUS_EVERY).await;
        }
    });
    match looked.await {
        Ok(status) if reached(&status) => Ok(status),
        _ => Err(Refused::TooLate(
            "the change was not seen here in time; it may still happen",
        )),
    }
}
