//! A whole run: rounds in which one system after the other is started fresh, measured and
//! stopped, so that what the machine does meanwhile hits all alike.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use crate::client::Client;
use crate::fanout::Stage;
use crate::growth::Growth;
use crate::limits::CONNECTIONS_MAX;
use crate::plan::Plan;
use crate::proc::{own, usage};
use crate::record::{Cell, Record, Results};
use crate::system::{FANOUT, REPLICATED, Running, System};
use crate::{closed, failover, open};

/// A series of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Series {
    /// Closed loop of all that replicate, three voters, and what they cost when idle.
    Commit,
    /// Their open loop: messages at a fixed rate, to a cluster that had nothing else to do.
    Open,
    /// The closed loop with more voters.
    Larger,
    /// Ours over WebSocket: sender to acknowledgement, and to the last reader of the room.
    Web,
    /// One room with many readers.
    Fanout,
    /// Connections that only wait.
    Connections,
    /// A room that becomes long.
    Growth,
    /// Leaders that are killed.
    Failover,
}

/// What is run, and what came of it.
pub struct Run {
    /// How much of it.
    pub plan: Plan,
    /// Which systems; those that are not installed are left out already.
    pub systems: Vec<System>,
    /// What came of it.
    pub results: Results,
    /// Called with each record, as it comes.
    pub note: fn(&Record),
}

fn cell(series: &str, system: &str, replicas: usize, bytes: usize, level: u64) -> Cell {
    Cell {
        series: series.to_owned(),
        system: system.to_owned(),
        replicas,
        bytes,
        level,
    }
}

impl Run {
    /// Runs the series in order. What fails is noted as skipped: the other figures stand.
    pub async fn all(&mut self, series: &[Series]) {
        for one in series {
            match one {
                Series::Commit => self.rounds("commit", &REPLICATED, 3).await,
                Series::Open => self.rounds("open", &REPLICATED, 3).await,
                Series::Larger => {
                    for replicas in self.plan.larger.clone() {
                        self.rounds("larger", &REPLICATED, replicas).await;
                    }
                }
                Series::Web => self.rounds("web", &[System::Chatterbox], 3).await,
                Series::Fanout => self.rounds("fanout", &FANOUT, 3).await,
                Series::Connections => self.once("connections", &FANOUT).await,
                Series::Growth => self.once("growth", &[System::Chatterbox]).await,
                Series::Failover => {
                    let two = [System::Chatterbox, System::Etcd];
                    self.once("failover", &two).await;
                }
            }
        }
    }

    async fn rounds(&mut self, series: &str, systems: &[System], replicas: usize) {
        for round in 1..=self.plan.rounds {
            for system in systems {
                self.one(series, *system, replicas, round).await;
            }
        }
    }

    async fn once(&mut self, series: &str, systems: &[System]) {
        for system in systems {
            self.one(series, *system, 3, 1).await;
        }
    }

    async fn one(&mut self, series: &str, system: System, replicas: usize, round: usize) {
        if !self.systems.contains(&system) {
            return;
        }
        let measured = match series {
            "commit" => self.commit(system, round).await,
            "open" => self.paced(system, round).await,
            "larger" => self.larger(system, replicas, round).await,
            "web" => self.web(round).await,
            "fanout" => self.fanout(system, round).await,
            "connections" => self.connections(system).await,
            "growth" => self.growth().await,
            _ => self.failover(system).await,
        };
        if let Err(error) = measured {
            let words = format!("{series} of {} in round {round}: {error:#}", system.name());
            self.results.skipped.push(words);
        }
    }

    fn keep(&mut self, record: Record) {
        (self.note)(&record);
        self.results.records.push(record);
    }

    async fn commit(&mut self, system: System, round: usize) -> Result<()> {
        let running = Running::start(system, 3).await?;
        let client = running.client(CONNECTIONS_MAX, "sender").await?;
        self.idle(&running, system, round).await?;
        let plan = self.plan.clone();
        for bytes in &plan.bytes {
            for in_flight in &plan.in_flight {
                let level = u64::try_from(*in_flight)?;
                let at = cell("commit", system.name(), 3, *bytes, level);
                self.closed(&running, &client, at, round).await?;
            }
        }
        Ok(())
    }

    async fn paced(&mut self, system: System, round: usize) -> Result<()> {
        let running = Running::start(system, 3).await?;
        let client = running.client(CONNECTIONS_MAX, "sender").await?;
        for rate in self.plan.rates.clone() {
            let at = cell("open", system.name(), 3, 128, rate);
            self.open(&running, &client, at, round, CONNECTIONS_MAX)
                .await?;
        }
        Ok(())
    }

    async fn larger(&mut self, system: System, replicas: usize, round: usize) -> Result<()> {
        let running = Running::start(system, replicas).await?;
        let client = running.client(CONNECTIONS_MAX, "sender").await?;
        for in_flight in self.plan.in_flight.clone() {
            let level = u64::try_from(in_flight)?;
            let at = cell("commit", system.name(), replicas, 128, level);
            self.closed(&running, &client, at, round).await?;
        }
        Ok(())
    }

    async fn web(&mut self, round: usize) -> Result<()> {
        let running = Running::start(System::Chatterbox, 3).await?;
        let plan = self.plan.clone();
        for bytes in &plan.bytes {
            for in_flight in &plan.in_flight {
                let word = format!("w{bytes}x{in_flight}x");
                let client = running.people(*in_flight, &word).await?;
                let level = u64::try_from(*in_flight)?;
                let at = cell("web", System::Chatterbox.name(), 3, *bytes, level);
                self.closed(&running, &client, at, round).await?;
            }
        }
        let people = running.people(64, "paced").await?;
        for rate in &plan.rates {
            let at = cell("open-web", System::Chatterbox.name(), 3, 128, *rate);
            self.open(&running, &people, at, round, 64).await?;
        }
        Ok(())
    }

    async fn closed(
        &mut self,
        running: &Running,
        client: &Client,
        at: Cell,
        round: usize,
    ) -> Result<()> {
        let pids = running.pids();
        let lanes = usize::try_from(at.level)?;
        let mut before = (usage(&pids), own()?);
        let times = (self.plan.warm, self.plan.lasting);
        let begun = || {
            before = (usage(&pids), own()?);
            drop(client.take_last());
            Ok(())
        };
        let closed = closed::run(client, lanes, at.bytes, times, begun).await?;
        let (servers, generator) = (usage(&pids).since(before.0), own()?.since(before.1));
        let mut record = Record::new(at, round);
        record.set("per_s", closed.count as f64 / closed.took.as_secs_f64());
        record.set_latencies("", &closed.latencies);
        record.set_usage(servers, generator, closed.count);
        if let Some(last) = client.take_last() {
            record.set_latencies("last_", &last);
        }
        self.keep(record);
        // What is still under way, and what a system puts off until it is idle.
        sleep(Duration::from_millis(300)).await;
        Ok(())
    }

    async fn open(
        &mut self,
        running: &Running,
        client: &Client,
        at: Cell,
        round: usize,
        lanes: usize,
    ) -> Result<()> {
        let pids = running.pids();
        drop(client.take_last());
        let before = (usage(&pids), own()?);
        let lasting = self.plan.open_lasting;
        let open = open::run(client, lanes, at.bytes, at.level, lasting).await?;
        let (servers, generator) = (usage(&pids).since(before.0), own()?.since(before.1));
        let mut record = Record::new(at, round);
        record.set_latencies("", &open.latencies);
        record.set_usage(servers, generator, open.count);
        record.set("overrun", f64::from(u8::from(open.overrun)));
        if let Some(last) = client.take_last() {
            record.set_latencies("last_", &last);
        }
        self.keep(record);
        Ok(())
    }

    /// What the processes cost when nobody wants anything.
    async fn idle(&mut self, running: &Running, system: System, round: usize) -> Result<()> {
        let lasting = self.plan.idle_lasting;
        sleep(lasting / 4).await;
        let before = usage(&running.pids());
        sleep(lasting).await;
        let used = usage(&running.pids()).since(before);
        let mut record = Record::new(cell("idle", system.name(), 3, 0, 0), round);
        record.set("rss_mib", used.rss_kib as f64 / 1024.0);
        let share = used.cpu_us as f64 / lasting.as_micros() as f64;
        record.set("cpu_percent", share * 100.0);
        self.keep(record);
        Ok(())
    }

    async fn fanout(&mut self, system: System, round: usize) -> Result<()> {
        let stage = Stage::start(system).await?;
        for readers in self.plan.readers.clone() {
            let at = cell("fanout", system.name(), 1, 128, readers);
            let record = stage.measure(at, round, self.plan.open_lasting).await?;
            self.keep(record);
        }
        Ok(())
    }

    async fn connections(&mut self, system: System) -> Result<()> {
        let stage = Stage::start(system).await?;
        let at = cell(
            "connections",
            system.name(),
            1,
            0,
            self.plan.idle_connections,
        );
        let record = stage.idle(at, 1, self.plan.idle_lasting).await?;
        self.keep(record);
        Ok(())
    }

    async fn growth(&mut self) -> Result<()> {
        let running = Running::start(System::Chatterbox, 3).await?;
        let mut growth = Growth::start(running).await?;
        let sizes = self.plan.growth.clone();
        for (number, size) in (1..).zip(&sizes) {
            let at = cell("growth", System::Chatterbox.name(), 3, 128, *size);
            let record = growth.measure(at, number == sizes.len()).await?;
            self.keep(record);
        }
        Ok(())
    }

    async fn failover(&mut self, system: System) -> Result<()> {
        let at = cell("failover", system.name(), 3, 128, 0);
        let record = failover::measure(system, self.plan.kills, at).await?;
        self.keep(record);
        Ok(())
    }
}
