//! I13: one disk per node id. A wiped disk never votes under the old id.
//!
//! Chandra, Griesemer, Redstone, *Paxos Made Live* (2007), section 5.1, describes how a replica
//! with a lost disk rejoins; here it does not: it is another node (section 2.10 of the design).

use std::collections::BTreeMap;

use paxos::NodeId;

use super::Who;
use crate::state::DiskId;
use crate::violation::{Verdict, hold};

const NAME: &str = "I13";

/// Which disk has which id.
#[derive(Clone, Debug, Default)]
pub struct OneDisk {
    disks: BTreeMap<NodeId, DiskId>,
    ids: BTreeMap<DiskId, NodeId>,
}

impl OneDisk {
    /// A process starts under an id, from a disk.
    pub fn on_start(&mut self, who: Who) -> Verdict {
        let disk = *self.disks.entry(who.id).or_insert(who.disk);
        hold!(
            NAME,
            disk == who.disk,
            "{} runs from {:?} and {disk:?}",
            who.id,
            who.disk
        );
        let id = *self.ids.entry(who.disk).or_insert(who.id);
        hold!(
            NAME,
            id == who.id,
            "{:?} runs as {} and {id}",
            who.disk,
            who.id
        );
        Ok(())
    }

    /// A node votes: it was started from the disk that has its id.
    pub fn on_vote(&self, who: Who) -> Verdict {
        let disk = self.disks.get(&who.id);
        hold!(
            NAME,
            disk == Some(&who.disk),
            "{} votes from {:?}",
            who.id,
            who.disk
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::OneDisk;
    use crate::invariants::Who;
    use crate::invariants::testing::{broken, who};
    use crate::state::DiskId;

    #[test]
    fn a_second_disk_under_one_id_breaks_it() {
        let mut disks = OneDisk::default();
        assert_eq!(disks.on_start(who(1)), Ok(()));
        assert_eq!(disks.on_start(who(1)), Ok(()), "a restart");
        assert_eq!(disks.on_vote(who(1)), Ok(()));
        let wiped = Who {
            disk: DiskId(999),
            ..who(1)
        };
        assert_eq!(broken(disks.on_start(wiped)), Some("I13"));
        assert_eq!(broken(disks.on_vote(wiped)), Some("I13"));
        let renamed = Who {
            disk: who(1).disk,
            ..who(2)
        };
        assert_eq!(broken(disks.on_start(renamed)), Some("I13"));
    }
}
