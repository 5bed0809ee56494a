//! How each kind of fault begins.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use checker::Outage;
use fastrand::Rng;
use tokio::time::{Instant, sleep};

use super::{Active, End, LeaderKill, Nemesis, partition, tolerance};
use crate::ground::{Damage, Ground, Name, Weather};
use crate::kind::Kind;
use crate::limits::{CLOCK_JUMP_MS, IN_FLIGHT, REPLACED, ROLLED, SCALED, TURN};
use crate::record::{Fault, Outcome};
use crate::schedule::Step;
use crate::watch::View;

/// What a step came to.
struct Began {
    targets: Vec<Name>,
    end: End,
    words: String,
    cut: BTreeSet<crate::ground::Link>,
    weather: Weather,
}

impl Began {
    fn new(targets: &[Name], end: End, words: impl Into<String>) -> Self {
        Self {
            targets: targets.to_vec(),
            end,
            words: words.into(),
            cut: BTreeSet::new(),
            weather: Weather::default(),
        }
    }
}

impl<G: Ground> Nemesis<G> {
    /// Begins a step. Answers why it must wait, if it must.
    pub(super) async fn install(&mut self, step: &Step) -> Result<Option<String>> {
        let mut random = Rng::with_seed(step.seed);
        let view = self.view();
        let targets = match self.targets(step.kind, &view, &mut random) {
            Ok(targets) => targets,
            Err(why) => return Ok(Some(why)),
        };
        let title = self.title(&view, &targets);
        let from_ms = self.began.ms();
        let led = view
            .leader
            .clone()
            .filter(|leader| targets.contains(leader));
        self.tell_current(Some(format!("{} {title}", step.kind.name())));
        let begun = self.begin(step, &targets, &view, &mut random).await;
        let dead_ms = self.began.ms();
        let (begun, outcome) = match begun {
            Ok(begun) => (begun, Outcome::Installed),
            Err(error) => {
                let repair = repair(step.kind);
                let begun = Began::new(&targets, repair, format!("{error:#}"));
                (begun, Outcome::Indeterminate)
            }
        };
        let mut words = begun.words.clone();
        if led.is_some() && kills(step.kind) && outcome == Outcome::Installed {
            let kill = LeaderKill {
                at_ms: from_ms,
                dead_ms,
            };
            self.done.leader_kills.push(kill);
            words = format!("it led; {words}");
        }
        let fault = Fault {
            kind: step.kind.name().to_owned(),
            target: title,
            from_ms,
            to_ms: from_ms,
            outcome,
            words,
        };
        self.note(step, fault, begun).await?;
        Ok(None)
    }

    /// A fault is there from now on.
    async fn note(&mut self, step: &Step, fault: Fault, begun: Began) -> Result<()> {
        let word = if fault.outcome == Outcome::Installed {
            "fault"
        } else {
            "unsure"
        };
        self.said.line(&format!(
            "{word:<9} {:<18} {} {}",
            fault.kind, fault.target, fault.words
        ));
        let hold = match begun.end {
            End::Nothing => Duration::ZERO,
            End::Replaced(_) => REPLACED,
            _ => Duration::from_millis(step.hold_ms),
        };
        self.active.push(Active {
            fault,
            targets: begun.targets.into_iter().collect(),
            until: Instant::now() + hold,
            end: begun.end,
            cut: begun.cut,
            weather: begun.weather,
        });
        self.tell_current(None);
        if let Err(error) = self.set_network().await
            && let Some(active) = self.active.last_mut()
        {
            // What it wanted of the network may be there or not.
            let words = format!("; {error:#}");
            self.said
                .line(&format!("unsure    {}{words}", active.fault.kind));
            active.fault.outcome = Outcome::Indeterminate;
            active.fault.words.push_str(&words);
        }
        Ok(())
    }

    fn title(&self, view: &View, targets: &[Name]) -> String {
        let titles: Vec<String> = targets.iter().map(|name| view.title(name)).collect();
        titles.join(" ")
    }

    /// Whom a step meets; or why there is nobody now.
    fn targets(&self, kind: Kind, view: &View, random: &mut Rng) -> Result<Vec<Name>, String> {
        let under_fault = self.under_fault();
        let free = |name: &Name| !under_fault.contains(name);
        let all: Vec<Name> = self
            .ground
            .replicas()
            .into_iter()
            .map(|place| place.name)
            .collect();
        let whole = |name: &&Name| free(name) && view.is_whole(name);
        let mut fit: Vec<Name> = all.iter().filter(whole).cloned().collect();
        let leader = view.leader.clone().filter(|leader| fit.contains(leader));
        let some_leader = || leader.clone().ok_or_else(|| "nobody leads".to_owned());
        match kind {
            Kind::Delay | Kind::Loss | Kind::Scale => Ok(Vec::new()),
            Kind::Gateway => {
                let gateways: Vec<Name> = self.ground.gateways().into_iter().filter(free).collect();
                let chosen = random.choice(gateways);
                Ok(vec![chosen.ok_or("no gateway is whole")?])
            }
            Kind::Membership => {
                let membership = Some(self.ground.membership()).filter(free);
                Ok(vec![membership.ok_or("membership is away already")?])
            }
            Kind::KillLeader | Kind::PauseLeader => Ok(vec![some_leader()?]),
            Kind::PowerAll | Kind::Rolling | Kind::Chain => Ok(fit),
            Kind::Majority => {
                fit.retain(|name| view.votes(name));
                random.shuffle(&mut fit);
                fit.truncate(view.voters.len() / 2 + 1);
                Ok(fit)
            }
            Kind::Halves => {
                let (mut voters, rest): (Vec<Name>, Vec<Name>) =
                    fit.into_iter().partition(|name| view.votes(name));
                random.shuffle(&mut voters);
                voters.truncate(tolerance::minority(view.voters.len()));
                if voters.is_empty() {
                    return Err("one voter has no halves".to_owned());
                }
                voters.extend(rest.into_iter().filter(|_| random.bool()));
                Ok(voters)
            }
            _ => {
                let leads = random.bool() && matches!(kind, Kind::One | Kind::OneWay);
                let chosen = leader.filter(|_| leads).or_else(|| random.choice(fit));
                Ok(vec![chosen.ok_or("no replica is whole")?])
            }
        }
    }

    async fn begin(
        &mut self,
        step: &Step,
        targets: &[Name],
        view: &View,
        random: &mut Rng,
    ) -> Result<Began> {
        let one = targets.first().cloned().unwrap_or_default();
        Ok(match step.kind {
            Kind::Kill | Kind::KillLeader | Kind::Gateway | Kind::Membership => {
                self.ground.kill(targets).await?;
                Began::new(targets, End::Start, "killed")
            }
            Kind::PowerOne | Kind::PowerAll => {
                let words = self.ground.power_off(targets, step.seed).await?;
                self.excused.extend(targets.iter().cloned());
                Began::new(targets, End::Start, words)
            }
            Kind::Pause | Kind::PauseLeader => {
                self.ground.pause(&one).await?;
                Began::new(targets, End::Resume, "stands still")
            }
            Kind::Restart => {
                self.ground.stop(&one).await?;
                self.ground.start(&one).await?;
                Began::new(targets, End::Nothing, "stopped and started")
            }
            Kind::Halves | Kind::One | Kind::OneWay | Kind::Chain => {
                self.cut(step.kind, targets, random)
            }
            Kind::Delay | Kind::Loss => weather(step.kind, random),
            Kind::Wipe | Kind::Replace => self.lose(step.kind, &one, view).await?,
            Kind::DiskFull => {
                self.excused.insert(one.clone());
                self.ground.fill_disk(&one).await?;
                Began::new(targets, End::FreeDisk, "20 MiB left on its disk")
            }
            Kind::BitFlip | Kind::Truncate => {
                let damage = if step.kind == Kind::BitFlip {
                    Damage::BitFlip
                } else {
                    Damage::Truncate
                };
                self.ground.kill(targets).await?;
                self.excused.insert(one.clone());
                let words = self.ground.damage(&one, damage, step.seed).await?;
                Began::new(targets, End::Mend, words)
            }
            Kind::Clock => {
                let jump = i64::try_from(random.u64(1_000..=CLOCK_JUMP_MS))?;
                let jump = if random.bool() { jump } else { -jump };
                self.ground.shift_clock(&one, jump).await?;
                // The replica takes part as before: it breaks nobody.
                let words = format!("its clock is off by {} s", jump / 1000);
                Began::new(targets, End::Clock, words)
            }
            Kind::Majority => self.silence(targets, step).await?,
            Kind::Rolling => self.roll(targets).await?,
            Kind::Drain => {
                let words = self.ground.drain(&one).await?;
                Began::new(targets, End::Undrain, words)
            }
            Kind::Scale => self.scale().await?,
        })
    }

    fn cut(&self, kind: Kind, targets: &[Name], random: &mut Rng) -> Began {
        let replicas = self.ground.replicas().into_iter().map(|place| place.name);
        let mut others: Vec<Name> = replicas.filter(|name| !targets.contains(name)).collect();
        match kind {
            Kind::Chain => {
                let mut row = targets.to_vec();
                random.shuffle(&mut row);
                let mut began =
                    Began::new(&row, End::Network, format!("in a row: {}", row.join(" ")));
                began.cut = partition::chain(&row);
                began
            }
            Kind::OneWay => {
                let one = targets.first().cloned().unwrap_or_default();
                others.extend(self.ground.gateways());
                others.push(self.ground.membership());
                let (cut, words) = partition::one_way(&one, &others, random);
                let mut began = Began::new(targets, End::Network, words);
                began.cut = cut;
                began
            }
            _ => {
                // The other side has the first gateway, so that somebody can be served.
                let mut here = targets.to_vec();
                let beside = self.ground.gateways().into_iter().skip(1);
                for name in beside.chain([self.ground.membership()]) {
                    let joins = kind == Kind::Halves && random.bool();
                    if joins {
                        here.push(name)
                    } else {
                        others.push(name)
                    }
                }
                others.extend(self.ground.gateways().into_iter().take(1));
                let words = format!("{} cut off from all others", here.join(" "));
                let mut began = Began::new(targets, End::Network, words);
                began.cut = partition::between(&here, &others);
                began
            }
        }
    }

    /// A node is gone with its disk: either its machine gets a new disk, or another comes.
    async fn lose(&mut self, kind: Kind, one: &Name, view: &View) -> Result<Began> {
        let node = view.ids.get(one).copied().unwrap_or_default();
        self.ground.kill(std::slice::from_ref(one)).await?;
        let words = if kind == Kind::Wipe {
            self.ground.erase(one).await?;
            self.ground.start(one).await?;
            format!("{one} starts again with an empty disk")
        } else {
            self.ground.retire(one).await?;
            let new = self.ground.add_replica().await?;
            self.set_places();
            format!("{one} is gone with its disk, {new} comes")
        };
        // Nobody of this name is under a fault: its node is broken until it votes no more.
        Ok(Began::new(&[], End::Replaced(node), words))
    }

    /// Kills a majority, and notes from when until when nothing can be acknowledged.
    async fn silence(&mut self, targets: &[Name], step: &Step) -> Result<Began> {
        self.ground.kill(targets).await?;
        if self.ground.revives() {
            for name in targets {
                self.ground.start(name).await?;
            }
            let words = "all at once; they came back by themselves";
            return Ok(Began::new(targets, End::Nothing, words));
        }
        sleep(IN_FLIGHT).await;
        let from_us = self.began.us();
        sleep(Duration::from_millis(step.hold_ms)).await;
        let outage = Outage {
            from_us,
            to_us: self.began.us(),
            why: format!("{} were killed", targets.join(", ")),
        };
        let lasted = (outage.to_us - outage.from_us) / 1000;
        self.done.outages.push(outage);
        for name in targets {
            self.ground.start(name).await?;
        }
        Ok(Began::new(
            targets,
            End::Nothing,
            format!("no majority for {lasted} ms"),
        ))
    }

    /// Stops and starts everything, one after the other, waiting for each replica.
    async fn roll(&mut self, targets: &[Name]) -> Result<Began> {
        if let Some(words) = self.ground.roll().await? {
            return Ok(Began::new(targets, End::Nothing, words));
        }
        let mut words = Vec::new();
        for name in targets {
            self.ground.stop(name).await?;
            self.ground.start(name).await?;
            let deadline = Instant::now() + ROLLED;
            // What is known of it from before must not count: a moment for a new view.
            sleep(Duration::from_secs(1)).await;
            while !self.view().is_whole(name) && Instant::now() < deadline {
                sleep(TURN).await;
            }
            if !self.view().is_whole(name) {
                words.push(format!("{name} was not whole after {ROLLED:?}"));
                break;
            }
        }
        let mut others = self.ground.gateways();
        others.push(self.ground.membership());
        for name in others {
            self.ground.stop(&name).await?;
            self.ground.start(&name).await?;
        }
        if words.is_empty() {
            words.push(format!("{} replicas and all services", targets.len()));
        }
        Ok(Began::new(targets, End::Nothing, words.join("; ")))
    }

    /// Lets two more replicas vote, then as many as before.
    async fn scale(&mut self) -> Result<Began> {
        let (usual, more) = (self.wished, self.wished + 2);
        let mut words = Vec::new();
        for voters in [more, usual] {
            let since = Instant::now();
            self.ground.scale(voters).await?;
            self.set_places();
            while self.view().voters.len() != voters && since.elapsed() < SCALED {
                sleep(TURN).await;
            }
            let vote = self.view().voters.len();
            words.push(format!(
                "{vote} voters after {} s",
                since.elapsed().as_secs()
            ));
            anyhow::ensure!(
                vote == voters,
                "{voters} were to vote: {}",
                words.join(", ")
            );
        }
        Ok(Began::new(&[], End::Nothing, words.join(", ")))
    }
}

/// Whether a kind ends a process at once.
const fn kills(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Kill | Kind::KillLeader | Kind::Wipe | Kind::Replace | Kind::PowerOne
    )
}

/// What undoes a fault of which it is not known whether it is there.
const fn repair(kind: Kind) -> End {
    match kind {
        Kind::Pause | Kind::PauseLeader => End::Resume,
        Kind::DiskFull => End::FreeDisk,
        Kind::Drain => End::Undrain,
        _ => End::Start,
    }
}

fn weather(kind: Kind, random: &mut Rng) -> Began {
    let weather = if kind == Kind::Delay {
        Weather {
            delay_ms: random.u64(5..=80),
            jitter_ms: random.u64(0..=80),
            ..Weather::default()
        }
    } else {
        Weather {
            lost_per_mille: random.u64(5..=100),
            broken_per_100k: random.u64(0..=200),
            ..Weather::default()
        }
    };
    let words = if kind == Kind::Delay {
        format!(
            "{} to {} ms later",
            weather.delay_ms,
            weather.delay_ms + weather.jitter_ms
        )
    } else {
        format!(
            "{} of 1,000 pieces stall, {} of 100,000 break their connection",
            weather.lost_per_mille, weather.broken_per_100k
        )
    };
    let mut began = Began::new(&[], End::Network, words);
    began.weather = weather;
    began
}
