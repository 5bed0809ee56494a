//! What is watched exists: the figures that dashboards and alarms name are served by real services.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use scenarios::{Cluster, ports};
use serde_json::Value;
use tokio::time::{Instant, sleep};

const SOON: Duration = Duration::from_secs(20);

/// A figure that was renamed would leave an alarm silent and a picture empty, and nobody would
/// hear of it.
#[tokio::test(flavor = "multi_thread")]
async fn every_figure_that_is_watched_is_served() -> Result<()> {
    let place = || format!("127.0.0.1:{}", ports::free());
    let (replica, gateway, membership) = (place(), place(), place());
    let mut cluster = Cluster::start_tuned(
        1,
        &[("CHATTERBOX_REPLICA_METRICS", replica.clone())],
        &[("CHATTERBOX_GATEWAY_METRICS", gateway.clone())],
    )
    .await?;
    cluster.set_membership(&[("METRICS", membership.as_str())])?;
    // A figure with labels is served once there is something to count.
    scenarios::Client::sign_up(&cluster.gateway_urls[0], "alice").await?;
    let mut served = BTreeSet::new();
    for address in [replica, gateway, membership] {
        served.extend(names_served(&figures(&address).await?));
    }
    let watched = watched()?;
    ensure!(watched.len() > 20, "few are watched: {watched:?}");
    let missing: Vec<_> = watched.difference(&served).collect();
    ensure!(missing.is_empty(), "{missing:?} are not in {served:?}");
    Ok(())
}

/// Every panel asks a source that is provisioned, and shows something.
#[test]
fn a_dashboard_asks_sources_that_are_there() -> Result<()> {
    let sources =
        std::fs::read_to_string(observe().join("grafana/provisioning/datasources/chatterbox.yml"))?;
    for (path, dashboard) in dashboards()? {
        let panels = dashboard["panels"].as_array().context("panels")?;
        let real = panels.iter().filter(|panel| panel["type"] != "row");
        for panel in real {
            let targets = panel["targets"].as_array().context("targets")?;
            ensure!(!targets.is_empty(), "{panel} asks nothing");
            for asks in targets.iter().chain([panel]) {
                let uid = asks["datasource"]["uid"].as_str().context("datasource")?;
                let known = sources.contains(&format!("uid: {uid}\n"));
                ensure!(known, "{}: no source {uid}", path.display());
            }
        }
    }
    Ok(())
}

fn observe() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker/observe")
}

fn dashboards() -> Result<Vec<(PathBuf, Value)>> {
    let mut all = Vec::new();
    for file in std::fs::read_dir(observe().join("grafana/dashboards"))? {
        let path = file?.path();
        let text = std::fs::read_to_string(&path)?;
        let json = serde_json::from_str(&text);
        all.push((path.clone(), json.context(path.display().to_string())?));
    }
    ensure!(!all.is_empty(), "there is a dashboard");
    Ok(all)
}

/// The families that rules and dashboards name.
fn watched() -> Result<BTreeSet<String>> {
    let mut texts = vec![std::fs::read_to_string(observe().join("alerts.yml"))?];
    texts.extend(dashboards()?.into_iter().map(|(_, json)| json.to_string()));
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let named = texts.iter().flat_map(|text| text.split(word));
    let figures = named.filter(|name| name.starts_with("chatterbox_"));
    Ok(figures.map(|name| family(name).to_owned()).collect())
}

/// A sample's name without what its kind adds to it.
fn family(sample: &str) -> &str {
    ["_total", "_bucket", "_count", "_sum"]
        .iter()
        .find_map(|suffix| sample.strip_suffix(suffix))
        .unwrap_or(sample)
}

fn names_served(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .filter_map(|line| Some(line.split(' ').next()?.to_owned()))
        .collect()
}

async fn figures(address: &str) -> Result<String> {
    let deadline = Instant::now() + SOON;
    loop {
        let asked = reqwest::get(format!("http://{address}/metrics")).await;
        match asked {
            Ok(answer) if answer.status() == 200 => return Ok(answer.text().await?),
            // It starts.
            other => ensure!(Instant::now() < deadline, "{address}: {other:?}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}
