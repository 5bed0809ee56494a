//! How each fault ends.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::{Active, End, Nemesis};
use crate::ground::{Ground, Name};
use crate::limits::MEND;
use crate::record::{Outcome, Violation};

/// How long what the view says of a replica may be older than the end of its fault.
const SETTLE: Duration = Duration::from_secs(1);
/// One that ended by itself so often is left alone until the end.
const FALLS_MAX: u32 = 3;

impl<G: Ground> Nemesis<G> {
    /// Ends what is due.
    pub(super) async fn finish_due(&mut self) -> Result<()> {
        let mut index = 0;
        while let Some(active) = self.active.get(index) {
            let over = match active.end {
                End::Replaced(node) => !self.view().voters.contains(&node),
                End::Mended => active.targets.iter().all(|name| self.view().is_whole(name)),
                _ => false,
            };
            if over || active.until <= Instant::now() {
                let active = self.active.remove(index);
                self.finish(active, over).await?;
            } else {
                index += 1;
            }
        }
        Ok(())
    }

    /// Ends a fault. `over` says that what it waited for has come.
    pub(super) async fn finish(&mut self, mut active: Active, over: bool) -> Result<()> {
        let targets: Vec<Name> = active.targets.iter().cloned().collect();
        if let Err(error) = self.undo(&mut active, &targets, over).await {
            // The cluster is asked in the end whether it is whole: going on shows more.
            active.fault.outcome = Outcome::Indeterminate;
            let words = format!("; ending it failed: {error:#}");
            active.fault.words.push_str(&words);
            self.said
                .line(&format!("unsure    {}{words}", active.fault.kind));
        }
        if active.end == End::Mend {
            // What the view says of it from before must not count.
            sleep(SETTLE).await;
            (active.end, active.until) = (End::Mended, Instant::now() + MEND);
            self.active.push(active);
            return Ok(());
        }
        active.fault.to_ms = self.began.ms();
        if matches!(active.end, End::Replaced(_) | End::Mended) {
            let fault = &active.fault;
            let words = format!("{:<18} {} {}", fault.kind, fault.target, fault.words);
            self.said.line(&format!("over      {words}"));
        }
        self.done.faults.push(active.fault);
        let settled = Instant::now() + SETTLE;
        self.settling.retain(|(until, _)| *until > Instant::now());
        self.settling
            .extend(targets.into_iter().map(|name| (settled, name)));
        self.tell_current(None);
        Ok(())
    }

    async fn undo(&mut self, active: &mut Active, targets: &[Name], over: bool) -> Result<()> {
        match active.end.clone() {
            End::Nothing => {}
            End::Network => self.set_network().await?,
            End::Start | End::Mend => self.start_all(targets).await?,
            End::Undrain => {
                self.ground.undrain().await?;
                self.start_all(targets).await?;
            }
            End::Resume => {
                for name in targets {
                    self.ground.resume(name).await?;
                }
            }
            End::Clock => {
                for name in targets {
                    self.ground.shift_clock(name, 0).await?;
                }
            }
            End::FreeDisk => self.free(active, targets).await?,
            End::Replaced(node) => self.replaced(active, node, over),
            End::Mended => self.mended(active, targets, over).await?,
        }
        Ok(())
    }

    async fn start_all(&mut self, targets: &[Name]) -> Result<()> {
        for name in targets {
            self.ground.start(name).await?;
        }
        Ok(())
    }

    async fn free(&mut self, active: &mut Active, targets: &[Name]) -> Result<()> {
        let view = self.view();
        for name in targets {
            let noticed = view
                .statuses
                .get(name)
                .is_some_and(|status| status.no_space);
            let words = if noticed {
                "; it said so, and took nothing new"
            } else {
                "; it did not say that it has no space"
            };
            active.fault.words.push_str(words);
            if !noticed {
                active.fault.outcome = Outcome::Indeterminate;
            }
            self.ground.free_disk(name).await?;
        }
        Ok(())
    }

    fn replaced(&mut self, active: &mut Active, node: u64, over: bool) {
        let took = self.began.ms().saturating_sub(active.fault.from_ms);
        let words = if over {
            self.done.replaced += 1;
            format!("; r{node} votes no more after {took} ms")
        } else {
            format!("; r{node} still votes after {took} ms")
        };
        active.fault.words.push_str(&words);
    }

    /// A damaged replica is whole by itself, or stands aside: then it gets a new disk, as an
    /// operator would give it.
    async fn mended(&mut self, active: &mut Active, targets: &[Name], over: bool) -> Result<()> {
        if over {
            active
                .fault
                .words
                .push_str("; it was whole again by itself");
            return Ok(());
        }
        for name in targets {
            let view = self.view();
            let status = view.statuses.get(name);
            let why = status.map_or("it did not run", |status| &status.why);
            active
                .fault
                .words
                .push_str(&format!("; it stood aside ({why}) and got a new disk"));
            self.renew(name).await?;
        }
        Ok(())
    }

    /// Gives a replica an empty disk: it comes back as a new node.
    pub(super) async fn renew(&mut self, name: &Name) -> Result<()> {
        self.ground.kill(std::slice::from_ref(name)).await?;
        self.ground.erase(name).await?;
        self.ground.start(name).await
    }

    /// Starts what ended by itself, and says so: a violation, unless its disk was the reason.
    pub(super) async fn pick_up_fallen(&mut self) -> Result<()> {
        for name in self.ground.fallen() {
            let falls = self.falls.entry(name.clone()).or_default();
            *falls += 1;
            if *falls > FALLS_MAX {
                continue;
            }
            let first = *falls == 1;
            let tail = self.ground.tail(&name);
            self.said
                .line(&format!("ended     {name} ended by itself:\n{tail}"));
            let disk = self.excused.contains(&name);
            if first && !disk {
                self.done.violations.push(Violation {
                    kind: "ended".to_owned(),
                    words: format!("{name} ended by itself at {} ms: {tail}", self.began.ms()),
                });
            }
            self.ground.start(&name).await?;
        }
        Ok(())
    }
}
