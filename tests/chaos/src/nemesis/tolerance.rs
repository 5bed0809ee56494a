//! How much may be broken at once, so that the cluster still promises everything: a minority of
//! the voters. A run that broke more would find what no protocol can avoid; kinds that do so on
//! purpose (a majority, all) ask for a whole cluster first, and lose no disk.

use std::collections::BTreeSet;

use crate::ground::Name;
use crate::kind::Kind;
use crate::watch::View;

/// What a step asks of the cluster before it may begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asks {
    /// Nothing: it breaks no voter.
    Nothing,
    /// That one more voter may break.
    OneMore,
    /// That no voter is broken: it breaks a whole minority.
    AllVoters,
    /// That nothing at all is broken and no other fault is there.
    Quiet,
}

/// What a kind asks.
pub(super) const fn asks(kind: Kind) -> Asks {
    match kind {
        Kind::Clock | Kind::Delay | Kind::Loss | Kind::Gateway | Kind::Membership => Asks::Nothing,
        Kind::Halves | Kind::Chain => Asks::AllVoters,
        Kind::Majority | Kind::Rolling | Kind::PowerAll | Kind::Scale => Asks::Quiet,
        Kind::Kill
        | Kind::KillLeader
        | Kind::Pause
        | Kind::PauseLeader
        | Kind::Restart
        | Kind::One
        | Kind::OneWay
        | Kind::Wipe
        | Kind::DiskFull
        | Kind::BitFlip
        | Kind::Truncate
        | Kind::PowerOne
        | Kind::Replace
        | Kind::Drain => Asks::OneMore,
    }
}

/// The voters that cannot be counted on: under a fault, not whole, or gone.
pub(super) fn broken(view: &View, under_fault: &BTreeSet<Name>) -> BTreeSet<u64> {
    let sound = |voter: &u64| {
        let name = view.name_of(*voter);
        name.is_some_and(|name| view.is_whole(name) && !under_fault.contains(name))
    };
    let voters = view.voters.iter().copied();
    voters.filter(|voter| !sound(voter)).collect()
}

/// How many voters may be broken at once.
pub(super) const fn minority(voters: usize) -> usize {
    voters.saturating_sub(1) / 2
}

/// Why a step must wait; `None` when it may begin.
pub(super) fn must_wait(
    asks: Asks,
    view: &View,
    under_fault: &BTreeSet<Name>,
    faults: usize,
) -> Option<String> {
    if asks == Asks::Nothing {
        return None;
    }
    if view.voters.is_empty() {
        return Some("no replica says who votes".to_owned());
    }
    // Until the first entry of an epoch is decided, the voters before it count as well.
    if view.epoch > 1 && !view.epoch_ready {
        return Some(format!("epoch {} is not ready", view.epoch));
    }
    let broken = broken(view, under_fault);
    let names: Vec<String> = broken.iter().map(|node| format!("r{node}")).collect();
    let may = match asks {
        Asks::Nothing => true,
        Asks::OneMore => broken.len() < minority(view.voters.len()),
        Asks::AllVoters => broken.is_empty(),
        Asks::Quiet => broken.is_empty() && faults == 0,
    };
    if may {
        return None;
    }
    Some(if broken.is_empty() {
        format!("{faults} other faults are there")
    } else {
        let (broken, all) = (names.join(" "), view.voters.len());
        format!("{broken} of {all} voters are broken already")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proto::v1::GetStatusResponse;
    use proto::v1::get_status_response::Phase;

    use super::*;

    fn view() -> View {
        let status = |node: u64| GetStatusResponse {
            node,
            epoch: 2,
            voter: true,
            admitted: true,
            phase: Phase::Member as i32,
            ..GetStatusResponse::default()
        };
        let name = |node: u64| format!("replica{node}");
        View {
            statuses: (1..=5).map(|node| (name(node), status(node))).collect(),
            ids: (1..=5)
                .map(|node| (name(node), node))
                .collect::<BTreeMap<_, _>>(),
            epoch: 2,
            voters: (1..=5).collect(),
            epoch_ready: true,
            ..View::default()
        }
    }

    fn under(names: &[&str]) -> BTreeSet<Name> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Of five voters two may break, and no third one, whatever broke them.
    #[test]
    fn a_minority_and_no_more() {
        let mut view = view();
        let wait = |view: &View, names: &[&str], asks| must_wait(asks, view, &under(names), 1);
        assert_eq!(wait(&view, &["replica1"], Asks::OneMore), None);
        assert!(wait(&view, &["replica1", "replica2"], Asks::OneMore).is_some());
        view.statuses.remove("replica3");
        assert_eq!(wait(&view, &[], Asks::OneMore), None);
        assert!(wait(&view, &["replica1"], Asks::OneMore).is_some());
        // A voter whose node is gone for good is broken until it votes no more.
        view.ids.remove("replica4");
        assert!(wait(&view, &[], Asks::OneMore).is_some());
        view.voters.retain(|node| *node != 4);
        view.voters.push(9);
        assert!(wait(&view, &[], Asks::OneMore).is_some());
    }

    /// What breaks more asks for more.
    #[test]
    fn the_large_ones_ask_for_a_whole_cluster() {
        let mut view = view();
        assert_eq!(must_wait(Asks::AllVoters, &view, &under(&[]), 1), None);
        assert!(must_wait(Asks::Quiet, &view, &under(&[]), 1).is_some());
        assert_eq!(must_wait(Asks::Quiet, &view, &under(&[]), 0), None);
        assert!(must_wait(Asks::AllVoters, &view, &under(&["replica1"]), 1).is_some());
        view.epoch_ready = false;
        assert!(must_wait(Asks::OneMore, &view, &under(&[]), 0).is_some());
        assert_eq!(must_wait(Asks::Nothing, &view, &under(&[]), 0), None);
    }
}
