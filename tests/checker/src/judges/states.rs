//! Are the states of all nodes equal where they stand at one slot, and whole?

use std::collections::BTreeMap;

use crate::facts::Facts;
use crate::log::NodeState;
use crate::violation::Kind;

pub(crate) fn judge(facts: &mut Facts) {
    let mut findings = std::mem::take(&mut facts.findings);
    let mut by_slot: BTreeMap<u64, Vec<&NodeState>> = BTreeMap::new();
    for state in &facts.states {
        by_slot.entry(state.slot).or_default().push(state);
        if let Some(damage) = &state.damage {
            findings.add(Kind::Diverged, || {
                format!("the state of r{} is damaged: {damage}", state.node)
            });
        }
    }
    for states in by_slot.values() {
        let Some((first, others)) = states.split_first() else {
            continue;
        };
        for other in others.iter().filter(|other| other.hash != first.hash) {
            findings.add(Kind::Diverged, || {
                format!(
                    "at slot {} the state of r{} is {}, that of r{} is {}",
                    first.slot, first.node, first.hash, other.node, other.hash
                )
            });
        }
        if !others.is_empty() {
            facts.figures.states += states.len() as u64;
        }
    }
    if facts.figures.states == 0 {
        findings.add(Kind::Incomplete, || {
            format!(
                "no two states of one slot were compared: there are {} states",
                facts.states.len()
            )
        });
    }
    facts.findings = findings;
}
