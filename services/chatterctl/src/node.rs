//! `chatterctl node`: who is of the cluster, who votes, who leads. The leader makes every change.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use proto::v1;
use proto::v1::admin_client::AdminClient;
use proto::v1::membership_client::MembershipClient;
use serde_json::json;
use tonic::Code;
use tonic::transport::Channel;

use crate::cli::{DrainArgs, NodeCommand, NodeListArgs, ReplaceArgs, TransferArgs, WhereArgs};
use crate::output::{Output, duration, table};
use crate::remote;
use crate::status::{Places, gather};

/// A change waits in the cluster for 10 s at most, and a little longer on its way.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(12);
/// How often a change is tried while an epoch or the lead changes hands.
const ATTEMPTS: u32 = 10;
/// The wait between two attempts.
const PAUSE: Duration = Duration::from_millis(300);

pub(crate) async fn run(command: NodeCommand, output: &mut Output) -> anyhow::Result<ExitCode> {
    match command {
        NodeCommand::List(args) => list(args, output).await?,
        NodeCommand::Drain(args) => drain(args, true, output).await?,
        NodeCommand::Undrain(args) => drain(args, false, output).await?,
        NodeCommand::Replace(args) => replace(args, output).await?,
        NodeCommand::TransferLeader(args) => transfer(args, output).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(args: NodeListArgs, output: &mut Output) -> anyhow::Result<()> {
    let mut admin = leader(&args.place).await?;
    let answer = admin.list_nodes(v1::ListNodesRequest {}).await;
    let answer = answer.map_err(remote::words)?.into_inner();
    // Membership only adds to it: without it the list is as true.
    let planned = match membership(&args.place) {
        Ok(address) => remote::servers(&address).await.ok(),
        Err(_) => None,
    };
    let planned = planned.unwrap_or_default();
    let text = if args.json {
        to_json(&answer, &planned).to_string()
    } else {
        to_table(&answer, &planned)
    };
    output.line(&text)?;
    Ok(())
}

async fn drain(args: DrainArgs, draining: bool, output: &mut Output) -> anyhow::Result<()> {
    let node = number(&args.node)?;
    let address = membership(&args.place)?;
    let mut client = MembershipClient::new(remote::channel(&address).await?);
    let request = v1::SetDrainingRequest { node, draining };
    let answer = client.set_draining(request).await.map_err(remote::words)?;
    let place = answer.into_inner().address;
    if !draining {
        output.line(&format!("{place} (r{node}) is not drained any more"))?;
        return Ok(());
    }
    output.line(&format!(
        "{place} (r{node}) is drained: nobody there is to vote"
    ))?;
    let plan = remote::servers(&address).await?.plan;
    output.line(&format!("plan: {plan}"))?;
    Ok(())
}

/// host:port of membership.
fn membership(place: &WhereArgs) -> anyhow::Result<String> {
    Places::of(place)?
        .membership
        .context("only membership knows that: name it with --membership")
}

async fn replace(args: ReplaceArgs, output: &mut Output) -> anyhow::Result<()> {
    let (old, new) = (number(&args.old)?, number(&args.new)?);
    ensure!(old != new, "r{old} cannot replace itself");
    let mut attempt = 0;
    loop {
        let mut admin = leader(&args.place).await?;
        let status = admin.get_status(v1::GetStatusRequest {}).await;
        let status = status.map_err(remote::words)?.into_inner();
        let request = v1::ReconfigureRequest {
            expected_epoch: status.epoch,
            voters: voters_with(&status.voters, old, new)?,
            force: args.force,
        };
        match admin.reconfigure(request).await {
            Ok(changed) => {
                let changed = changed.into_inner();
                let names: Vec<String> = changed.voters.iter().map(|n| format!("r{n}")).collect();
                let (epoch, names) = (changed.epoch, names.join(" "));
                output.line(&format!(
                    "epoch {epoch}: {names} vote; r{old} votes no more"
                ))?;
                return Ok(());
            }
            Err(refused) if refused.code() == Code::Unavailable && attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(refused) => return Err(remote::words(refused)),
        }
    }
}

async fn transfer(args: TransferArgs, output: &mut Output) -> anyhow::Result<()> {
    let to = number(&args.to)?;
    let mut attempt = 0;
    loop {
        let mut admin = leader(&args.place).await?;
        match admin.transfer_lead(v1::TransferLeadRequest { to }).await {
            Ok(_) => {
                output.line(&format!("r{to} leads"))?;
                return Ok(());
            }
            Err(refused) if refused.code() == Code::Unavailable && attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(refused) => return Err(remote::words(refused)),
        }
    }
}

/// Who leads, with a majority.
async fn leader(place: &WhereArgs) -> anyhow::Result<AdminClient<Channel>> {
    let places = Places::of(place)?;
    let view = gather(&places).await;
    let name = view.leader.with_context(|| {
        let words = &view.words;
        format!("only a leader can say or change that, and there is none: {words}")
    })?;
    let leads = view.replicas.iter().find(|replica| replica.name == name);
    let leads = leads.context("the leader has no address")?;
    let endpoint = remote::endpoint(&leads.address)?.timeout(CHANGE_TIMEOUT);
    Ok(AdminClient::new(
        remote::connect(&leads.address, &endpoint).await?,
    ))
}

/// `r2` or `2`.
fn number(node: &str) -> anyhow::Result<u64> {
    let number = node.strip_prefix('r').unwrap_or(node);
    let number: u64 = number
        .parse()
        .with_context(|| format!("`{node}` must be r2 or 2"))?;
    ensure!(number > 0, "there is no node 0");
    Ok(number)
}

/// The voters with one in the place of another.
fn voters_with(voters: &[u64], old: u64, new: u64) -> anyhow::Result<Vec<u64>> {
    let mut voters: BTreeSet<u64> = voters.iter().copied().collect();
    if !voters.remove(&old) {
        bail!("r{old} does not vote");
    }
    if !voters.insert(new) {
        bail!("r{new} votes already");
    }
    Ok(voters.into_iter().collect())
}

/// What membership knows of a node beyond what the log says, in words.
fn state(known: Option<&v1::Server>) -> String {
    let Some(known) = known else {
        return "-".to_owned();
    };
    let mut words = Vec::new();
    if known.suspected {
        let silent = known.last_heard_ms.map(duration);
        words.push(silent.map_or_else(
            || "never heard".to_owned(),
            |silent| format!("silent {silent}"),
        ));
    }
    if !known.missed_by.is_empty() {
        let by: Vec<String> = known.missed_by.iter().map(|n| format!("r{n}")).collect();
        words.push(format!("missed by {}", by.join(" ")));
    }
    if known.draining {
        words.push("drained".to_owned());
    }
    if words.is_empty() {
        words.push("heard".to_owned());
    }
    words.join(", ")
}

fn of_node(planned: &v1::GetServersResponse, node: u64) -> Option<&v1::Server> {
    planned.servers.iter().find(|server| server.node == node)
}

fn to_table(nodes: &v1::ListNodesResponse, planned: &v1::GetServersResponse) -> String {
    let rows: Vec<Vec<String>> = nodes
        .nodes
        .iter()
        .map(|node| {
            let heard = node.last_heard_ms.map(duration);
            let known = node.decided > 0;
            let server = of_node(planned, node.node);
            let lag = server.map(|server| server.lag.to_string());
            vec![
                format!("r{}", node.node),
                if node.voter { "voter" } else { "standby" }.to_owned(),
                if known {
                    node.decided.to_string()
                } else {
                    "-".to_owned()
                },
                lag.unwrap_or_else(|| "-".to_owned()),
                heard.unwrap_or_else(|| "-".to_owned()),
                state(server),
                node.disk_id.clone(),
                node.address.clone(),
            ]
        })
        .collect();
    let head = [
        "NODE", "ROLE", "DECIDED", "LAG", "HEARD", "STATE", "DISK", "ADDRESS",
    ];
    let mut text = format!("epoch {}\n\n", nodes.epoch);
    text.push_str(table(&head, &rows, &[2, 3, 4]).trim_end());
    for (name, words) in [
        ("plan", &planned.plan),
        ("last change", &planned.last_change),
    ] {
        if !words.is_empty() {
            text.push_str(&format!("\n\n{name}: {words}"));
        }
    }
    text
}

fn to_json(nodes: &v1::ListNodesResponse, planned: &v1::GetServersResponse) -> serde_json::Value {
    let each = nodes.nodes.iter().map(|node| {
        let server = of_node(planned, node.node);
        json!({
            "node": node.node,
            "name": format!("r{}", node.node),
            "voter": node.voter,
            "decided": node.decided,
            "last_heard_ms": node.last_heard_ms,
            "disk_id": node.disk_id,
            "address": node.address,
            "suspected": server.map(|server| server.suspected),
            "missed_by": server.map(|server| server.missed_by.clone()),
            "draining": server.map(|server| server.draining),
            "lag": server.map(|server| server.lag),
        })
    });
    json!({
        "epoch": nodes.epoch,
        "nodes": each.collect::<Vec<_>>(),
        "plan": planned.plan,
        "last_change": planned.last_change,
    })
}

#[cfg(test)]
mod tests {
    use super::{number, to_table, v1, voters_with};

    #[test]
    fn one_takes_the_place_of_another() {
        let voters = voters_with(&[1, 2, 3], 2, 1030).expect("possible");
        assert_eq!(voters, [1, 3, 1030]);
        assert!(voters_with(&[1, 2, 3], 4, 1030).is_err(), "no voter");
        assert!(voters_with(&[1, 2, 3], 2, 3).is_err(), "votes already");
    }

    #[test]
    fn a_node_is_named_as_the_status_shows_it() {
        assert_eq!(number("r1030").expect("a node"), 1030);
        assert_eq!(number("3").expect("a node"), 3);
        assert!(number("r0").is_err() && number("replica-1").is_err());
    }

    #[test]
    fn a_table_for_people() {
        let node = |node: u64, voter: bool| v1::Node {
            node,
            disk_id: "d".to_owned(),
            address: format!("h:{node}"),
            voter,
            last_heard_ms: voter.then_some(90),
            decided: 1040,
        };
        let nodes = v1::ListNodesResponse {
            nodes: vec![node(1, true), node(1030, false)],
            epoch: 2,
            applied: 1040,
        };
        let shown = to_table(&nodes, &v1::GetServersResponse::default());
        assert!(shown.starts_with("epoch 2"), "{shown}");
        assert!(shown.contains("r1030  standby"), "{shown}");
        let dead = v1::Server {
            node: 1,
            suspected: true,
            last_heard_ms: Some(12_000),
            missed_by: vec![2, 3],
            draining: true,
            ..v1::Server::default()
        };
        let planned = v1::GetServersResponse {
            servers: vec![dead],
            plan: "replace r1 by r1030: it is silent".to_owned(),
            ..v1::GetServersResponse::default()
        };
        let shown = to_table(&nodes, &planned);
        assert!(
            shown.contains("missed by r2 r3, drained") && shown.contains("silent 12"),
            "{shown}"
        );
        assert!(
            shown.ends_with("plan: replace r1 by r1030: it is silent"),
            "{shown}"
        );
    }
}
