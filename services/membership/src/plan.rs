//! Who is to vote next: the whole policy of replacing, growing, shrinking and draining, as one
//! pure function (DESIGN 2.7).
//!
//! In: what is known at one moment ([`View`]) and the operator's wishes ([`Policy`]). Out: at
//! most one [`Step`], and the reason in words. Must hold: one change at a time, a pause between
//! two; a dead voter is one that membership **and** a majority of the voters miss; nobody but a
//! caught-up standby comes in; the living are a majority of the voters, before and after; never
//! fewer than [`VOTERS_MIN`] by a removal. Tests: plan/tests.rs.
//!
//! Nothing here is needed for safety: the leader refuses a change of an epoch that is over, so
//! two of these that decide differently, or from old news, do no harm.

use std::cmp::Reverse;
use std::fmt;
use std::time::Duration;

use crate::detector::Uptime;
use crate::limits::{CAUGHT_UP_BEATS, GONE_AFTER, REPLICAS_MAX, VOTERS_MIN};

/// What is known at one moment.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The epoch of the newest configuration heard of; 0: none was.
    pub epoch: u64,
    /// Its `Ready` is decided: the change before is complete.
    pub settled: bool,
    /// A change of this process is under way.
    pub changing: bool,
    /// Who votes in the epoch.
    pub voters: Vec<Voter>,
    /// Who does not.
    pub standbys: Vec<Standby>,
    /// When the configuration changed last, as far as this process knows; absent: it never has.
    pub last_change: Option<Uptime>,
    /// Now.
    pub now: Uptime,
}

/// A voter.
#[derive(Debug, Clone, Default)]
pub struct Voter {
    /// Its id.
    pub node: u64,
    /// Membership suspects it, and it has been silent for so long.
    pub suspected_for: Option<Duration>,
    /// Who misses it and for how long, as told by voters of this epoch that were heard a moment
    /// ago.
    pub missed_by: Vec<Miss>,
    /// It said that it leads.
    pub leading: bool,
    /// It is to vote no more.
    pub draining: bool,
    /// Its commit index.
    pub decided: u64,
}

/// A voter's word that it misses another one.
#[derive(Debug, Clone, Copy)]
pub struct Miss {
    /// Who says so.
    pub by: u64,
    /// For how long it has heard nothing.
    pub for_long: Duration,
}

/// A node that learns and does not vote.
#[derive(Debug, Clone, Default)]
pub struct Standby {
    /// Its id.
    pub node: u64,
    /// Nothing was heard of it for a while.
    pub suspected: bool,
    /// Heartbeats in sequence with a lag under the window, as a standby.
    pub caught_up: u32,
    /// Decided slots that it lacks.
    pub lag: u64,
    /// It is to vote no more.
    pub draining: bool,
}

/// What the operator wishes.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How many voters there are to be; 0: as many as there are.
    pub wished: usize,
    /// As many voters as replicas run, instead: the largest odd number of them.
    pub auto: bool,
    /// A voter that membership and a majority miss for so long is dead.
    pub replace_after: Duration,
    /// Between two changes.
    pub pause: Duration,
}

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `new` votes in the place of `old`.
    Replace {
        /// Leaves.
        old: u64,
        /// Comes in.
        new: u64,
    },
    /// One more voter.
    Add {
        /// Comes in.
        new: u64,
    },
    /// One voter less.
    Remove {
        /// Leaves.
        old: u64,
    },
    /// The lead goes to another voter first, because the leader is to leave.
    Transfer {
        /// Leads now.
        from: u64,
        /// Is to lead.
        to: u64,
    },
}

/// What to do, and why; or why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// At most one.
    pub step: Option<Step>,
    /// In words.
    pub reason: String,
}

impl Decision {
    /// Nothing, for this reason.
    pub fn nothing(reason: impl Into<String>) -> Self {
        Self {
            step: None,
            reason: reason.into(),
        }
    }
}

impl Step {
    /// The voters after it, in order.
    #[must_use]
    pub fn apply(self, voters: &[u64]) -> Vec<u64> {
        let (leaves, comes) = match self {
            Self::Replace { old, new } => (Some(old), Some(new)),
            Self::Add { new } => (None, Some(new)),
            Self::Remove { old } => (Some(old), None),
            Self::Transfer { .. } => (None, None),
        };
        let mut after: Vec<u64> = voters.to_vec();
        after.retain(|node| Some(*node) != leaves);
        after.extend(comes);
        after.sort_unstable();
        after
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replace { old, new } => write!(f, "replace r{old} by r{new}"),
            Self::Add { new } => write!(f, "add r{new}"),
            Self::Remove { old } => write!(f, "remove r{old}"),
            Self::Transfer { from, to } => write!(f, "hand the lead from r{from} to r{to}"),
        }
    }
}

/// What should be changed, before it is known whether it can be.
enum Wish<'a> {
    /// This voter is to leave, for this reason.
    Leave(&'a Voter, String),
    /// One more is to come in.
    Grow,
    /// One is to leave, whichever.
    Shrink,
}

/// How many voters the policy asks for, given who is there; 0: as many as there are.
///
/// With `auto` a voter counts until it has been silent for [`GONE_AFTER`]: a machine that restarts
/// must not make the cluster smaller and then larger again. A drained one does not count.
#[must_use]
pub fn wished(view: &View, policy: &Policy) -> usize {
    if !policy.auto {
        return policy.wished;
    }
    let there = |voter: &&Voter| {
        let gone = voter.suspected_for.is_some_and(|long| long >= GONE_AFTER);
        !voter.draining && !gone
    };
    let spare = |standby: &&Standby| !standby.draining && !standby.suspected;
    let voters = view.voters.iter().filter(there).count();
    let running = voters + view.standbys.iter().filter(spare).count();
    // An even number survives no more than the odd one below it.
    let odd = running - usize::from(running.is_multiple_of(2) && running > 0);
    odd.clamp(VOTERS_MIN, REPLICAS_MAX)
}

/// At most one step. See the module.
#[must_use]
pub fn plan(view: &View, policy: &Policy) -> Decision {
    let policy = &Policy {
        wished: wished(view, policy),
        ..*policy
    };
    if let Some(reason) = obstacle(view) {
        return Decision::nothing(reason);
    }
    let wish = match wish(view, policy) {
        Ok(wish) => wish,
        Err(reason) => return Decision::nothing(reason),
    };
    let (step, reason) = match means(view, policy, &wish) {
        Ok(found) => found,
        Err(reason) => return Decision::nothing(reason),
    };
    if let Some(reason) = too_early(view, policy, step, &reason) {
        return Decision::nothing(reason);
    }
    if let Some(reason) = minority(view, step) {
        return Decision::nothing(reason);
    }
    Decision {
        step: Some(lead_first(view, step)),
        reason,
    }
}

/// Why nothing at all can be changed now.
fn obstacle(view: &View) -> Option<String> {
    let count = view.voters.len();
    let heard = view.voters.iter().filter(|voter| is_heard(view, voter));
    let heard = heard.count();
    if view.epoch == 0 || count == 0 {
        Some("no replica has told who votes".to_owned())
    } else if view.changing {
        Some("a change is under way".to_owned())
    } else if !view.settled {
        let epoch = view.epoch;
        Some(format!(
            "epoch {epoch} is not known to be ready: the change before is not complete"
        ))
    } else if heard * 2 <= count {
        Some(format!(
            "only {heard} of {count} voters are heard: without a majority nothing can be changed"
        ))
    } else {
        None
    }
}

/// The most urgent wish, or why there is none.
fn wish<'a>(view: &'a View, policy: &Policy) -> Result<Wish<'a>, String> {
    let dead = view.voters.iter().filter(|v| is_dead(view, policy, v));
    if let Some(dead) = dead.max_by_key(|voter| (voter.suspected_for, Reverse(voter.node))) {
        let seconds = dead.suspected_for.unwrap_or_default().as_secs();
        let why = format!("r{} has been silent for {seconds} s", dead.node);
        return Ok(Wish::Leave(dead, why));
    }
    let draining = view.voters.iter().find(|voter| voter.draining);
    let others = |voter: &&Voter| draining.is_none_or(|draining| draining.node != voter.node);
    // It may be back in a moment, or be dead in a moment: either changes what is best.
    if let Some(doubted) = view
        .voters
        .iter()
        .filter(others)
        .find(|v| !is_fine(view, v))
    {
        return Err(in_doubt(view, policy, doubted));
    }
    if let Some(draining) = draining {
        let why = format!("r{} is drained", draining.node);
        return Ok(Wish::Leave(draining, why));
    }
    let count = view.voters.len();
    match policy.wished {
        0 => Err("all voters are heard".to_owned()),
        wished if count < wished => Ok(Wish::Grow),
        wished if count > wished && count > VOTERS_MIN => Ok(Wish::Shrink),
        _ => Err("all voters are heard, and there are as many as wished".to_owned()),
    }
}

/// The step that grants a wish, or why there is none.
fn means(view: &View, policy: &Policy, wish: &Wish<'_>) -> Result<(Step, String), String> {
    let count = view.voters.len();
    let surplus = policy.wished > 0 && count > policy.wished && count > VOTERS_MIN;
    match wish {
        Wish::Leave(voter, why) if surplus => {
            let why = format!("{why}, and {} voters are wished", policy.wished);
            Ok((Step::Remove { old: voter.node }, why))
        }
        Wish::Leave(voter, why) => {
            let new = standby(view).map_err(|none| format!("{why}, but {none}"))?;
            let old = voter.node;
            Ok((Step::Replace { old, new }, why.clone()))
        }
        Wish::Grow => {
            let why = format!("there are {count} voters, and {} are wished", policy.wished);
            let new = standby(view).map_err(|none| format!("{why}, but {none}"))?;
            Ok((Step::Add { new }, why))
        }
        Wish::Shrink => {
            let why = format!("there are {count} voters, and {} are wished", policy.wished);
            // The leader stays; of the others the latest one leaves.
            let others = view.voters.iter().filter(|voter| !voter.leading);
            let latest = others.max_by_key(|voter| voter.node);
            let old = latest.ok_or("every voter says that it leads")?.node;
            Ok((Step::Remove { old }, why))
        }
    }
}

/// The standby that is fittest to vote, or why there is none.
fn standby(view: &View) -> Result<u64, String> {
    let fit = |standby: &&Standby| {
        !standby.suspected && !standby.draining && standby.caught_up >= CAUGHT_UP_BEATS
    };
    let best = view
        .standbys
        .iter()
        .filter(fit)
        .min_by_key(|standby| (standby.lag, standby.node));
    if let Some(best) = best {
        return Ok(best.node);
    }
    let alive = view.standbys.iter().filter(|s| !s.suspected);
    let (drained, late): (Vec<_>, Vec<_>) = alive.partition(|standby| standby.draining);
    Err(match late.iter().min_by_key(|standby| standby.lag) {
        Some(next) => format!("standby r{} has not caught up yet", next.node),
        None if !drained.is_empty() => "all standbys are drained".to_owned(),
        None => "there is no standby: start one more replica".to_owned(),
    })
}

/// Why a change must wait for the pause after the last one.
fn too_early(view: &View, policy: &Policy, step: Step, reason: &str) -> Option<String> {
    let since = view.now.saturating_sub(view.last_change?);
    let left = policy.pause.checked_sub(since).filter(|l| !l.is_zero())?;
    let seconds = left.as_secs() + 1;
    Some(format!(
        "{reason}; to {step} waits {seconds} s more, because the voters changed a moment ago"
    ))
}

/// Why the living would be no majority of the voters after a step.
fn minority(view: &View, step: Step) -> Option<String> {
    let voters: Vec<u64> = view.voters.iter().map(|voter| voter.node).collect();
    let after = step.apply(&voters);
    let lives = |node: &&u64| {
        let voter = view.voters.iter().find(|voter| voter.node == **node);
        voter.is_none_or(|voter| is_fine(view, voter))
    };
    let living = after.iter().filter(lives).count();
    (living * 2 <= after.len()).then(|| {
        format!(
            "to {step} would leave only {living} living of {} voters",
            after.len()
        )
    })
}

/// A leader that is to leave hands the lead over first: the gap is shorter.
fn lead_first(view: &View, step: Step) -> Step {
    let (Step::Replace { old, .. } | Step::Remove { old }) = step else {
        return step;
    };
    let leads = |voter: &Voter| voter.node == old && voter.leading && is_fine(view, voter);
    if !view.voters.iter().any(leads) {
        return step;
    }
    let fit = |voter: &&Voter| voter.node != old && is_fine(view, voter);
    let stays = |voter: &&Voter| fit(voter) && !voter.draining;
    let most = |voter: &&Voter| (voter.decided, Reverse(voter.node));
    let to = view.voters.iter().filter(stays).max_by_key(most);
    let to = to.or_else(|| view.voters.iter().filter(fit).max_by_key(most));
    to.map_or(step, |to| Step::Transfer {
        from: old,
        to: to.node,
    })
}

/// Membership hears it.
const fn is_heard(_: &View, voter: &Voter) -> bool {
    voter.suspected_for.is_none()
}

/// Nobody doubts that it lives: not membership, not a majority.
fn is_fine(view: &View, voter: &Voter) -> bool {
    is_heard(view, voter) && !is_missed(view, voter, Duration::ZERO)
}

fn is_dead(view: &View, policy: &Policy, voter: &Voter) -> bool {
    let long = |silence: Duration| silence >= policy.replace_after;
    voter.suspected_for.is_some_and(long) && is_missed(view, voter, policy.replace_after)
}

/// Whether a majority of the voters misses it for so long.
fn is_missed(view: &View, voter: &Voter, for_long: Duration) -> bool {
    missing(view, voter, for_long) * 2 > view.voters.len()
}

/// How many voters miss it for so long; nobody counts twice, and not its own word.
fn missing(view: &View, voter: &Voter, for_long: Duration) -> usize {
    let mut by: Vec<u64> = voter
        .missed_by
        .iter()
        .filter(|miss| miss.for_long >= for_long && miss.by != voter.node)
        .map(|miss| miss.by)
        .filter(|by| view.voters.iter().any(|voter| voter.node == *by))
        .collect();
    by.sort_unstable();
    by.dedup();
    by.len()
}

/// What is known of a voter that is neither fine nor dead.
fn in_doubt(view: &View, policy: &Policy, voter: &Voter) -> String {
    let (node, count) = (voter.node, view.voters.len());
    let by = missing(view, voter, Duration::ZERO);
    let after = policy.replace_after.as_secs_f64();
    match voter.suspected_for {
        None => format!("r{node} is heard here, but {by} of {count} voters miss it"),
        Some(_) if by * 2 <= count => {
            format!("r{node} is silent here, but only {by} of {count} voters miss it")
        }
        Some(silent) => {
            let silent = silent.as_secs_f64();
            format!(
                "r{node} has been silent for {silent:.1} s; it is taken for dead after {after} s"
            )
        }
    }
}

#[cfg(test)]
mod tests;
