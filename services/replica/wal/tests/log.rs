//! The log without its thread: what was committed comes back, what must not be asked for is
//! refused.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes helpers of tests for production code"
)]

mod support;

use bytes::Bytes;
use paxos::entry::{Chain, Entry};
use paxos::ids::{NodeId, Slot, Timestamp};
use paxos::output::PersistOp;
use support::{ballot, base, entries, genesis, voter};
use wal::{Base, Error, Peers, Wal};

/// Property: a new directory becomes a new disk, and stays that one.
#[test]
fn a_new_directory_gets_an_identity_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = Wal::open(dir.path()).unwrap();
    let identity = wal.identity().clone();
    assert!(identity.genesis.is_none() && !identity.confirmed);
    let restored = wal.restore(&Base::EMPTY).unwrap().restored;
    assert_eq!(
        (restored.decided, restored.chain),
        (Slot::GENESIS, Chain::GENESIS)
    );
    assert!(restored.undecided.is_empty());
    drop(wal);
    assert_eq!(Wal::open(dir.path()).unwrap().identity(), &identity);
}

/// Property: promise, rows and commit index survive; a row raises the promise (D2).
#[test]
fn what_was_committed_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = voter(dir.path());
    let rows = entries(Chain::GENESIS, Slot::FIRST, 5, ballot(3, 2));
    wal.commit(&[
        PersistOp::Promise(ballot(2, 1)),
        PersistOp::Accept(rows.clone()),
        PersistOp::Decided {
            slot: rows[2].slot,
            chain: rows[2].chain,
        },
    ])
    .unwrap();
    let disk_seq = wal.disk_seq();
    drop(wal);

    let mut wal = Wal::open(dir.path()).unwrap();
    assert_eq!(wal.disk_seq(), disk_seq);
    let restored = wal.restore(&Base::EMPTY).unwrap().restored;
    assert_eq!(restored.promised, ballot(3, 2));
    assert_eq!(restored.decided, rows[2].slot);
    assert_eq!(
        (restored.chain, restored.timestamp),
        (rows[2].chain, rows[2].timestamp)
    );
    assert_eq!(restored.undecided, rows[3..]);
    let replayed: Vec<Entry> = wal
        .replay(&Base::EMPTY, rows[2].slot)
        .flat_map(Result::unwrap)
        .collect();
    assert_eq!(replayed, rows[..3]);
}

/// Property (D4): the state machine may be ahead of the stored commit index.
#[test]
fn applied_ahead_of_the_hint_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = voter(dir.path());
    let rows = entries(Chain::GENESIS, Slot::FIRST, 5, ballot(1, 1));
    wal.commit(&[PersistOp::Accept(rows.clone())]).unwrap();
    let restored = wal.restore(&base(&rows[3])).unwrap().restored;
    assert_eq!(
        (restored.decided, restored.chain, restored.timestamp),
        (rows[3].slot, rows[3].chain, rows[3].timestamp)
    );
    assert_eq!(restored.undecided, rows[4..]);
    let ahead = entries(rows[4].chain, rows[4].slot.next(), 1, ballot(1, 1));
    let missing = wal.restore(&base(&ahead[0]));
    assert!(
        matches!(missing, Err(Error::RowMissing { .. })),
        "state.db ahead of log.db"
    );
}

/// Property (2.10): a disk takes one genesis for ever, and votes only when it is confirmed.
#[test]
fn a_disk_takes_one_genesis() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = Wal::open(dir.path()).unwrap();
    assert!(matches!(
        wal.confirm_genesis(),
        Err(Error::NoIdentity { .. })
    ));
    let genesis = genesis();
    wal.install_genesis(&genesis).unwrap();
    wal.install_genesis(&genesis).unwrap();
    let mut other = genesis.clone();
    other.node_id = NodeId(3);
    assert!(matches!(
        wal.install_genesis(&other),
        Err(Error::OtherGenesis { .. })
    ));
    wal.require_cluster("test").unwrap();
    assert!(matches!(
        wal.require_cluster("prod"),
        Err(Error::ForeignCluster { .. })
    ));
    let refused = wal.spawn(Box::new(|_| {}));
    assert!(
        matches!(refused, Err(Error::NoIdentity { .. })),
        "not confirmed"
    );

    let mut wal = Wal::open(dir.path()).unwrap();
    assert_eq!(wal.identity().genesis, Some(genesis));
    wal.confirm_genesis().unwrap();
    drop(wal);
    let wal = Wal::open(dir.path()).unwrap();
    assert!(wal.identity().confirmed);
    assert_eq!(wal.configuration(), None, "the genesis' one");
}

/// Property: a restart finds the other replicas without the membership service.
#[test]
fn peers_are_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = voter(dir.path());
    let first = Peers::from([(NodeId(1), "a:1".to_owned()), (NodeId(2), "b:2".to_owned())]);
    let second = Peers::from([(NodeId(2), "b:3".to_owned())]);
    wal.remember_peers(&first).unwrap();
    assert_eq!(wal.peers().unwrap(), first);
    wal.remember_peers(&second).unwrap();
    drop(wal);
    assert_eq!(Wal::open(dir.path()).unwrap().peers().unwrap(), second);
}

/// Properties D1 and "a decided slot keeps its value": refused before anything is written, and
/// the log takes nothing any more.
#[test]
fn what_must_never_be_asked_for_is_refused() {
    let rows = entries(Chain::GENESIS, Slot::FIRST, 3, ballot(3, 1));
    let other = entries(Chain([7; 32]), Slot::FIRST, 1, ballot(4, 2));
    let mut broken = entries(rows[2].chain, Slot(rows[2].slot.0 + 1), 1, ballot(3, 1));
    broken[0].timestamp = Timestamp(1);
    let before_the_log = Entry::new(
        Chain::GENESIS,
        Slot(5),
        ballot(9, 9),
        rows[0].kind,
        Timestamp(1),
        Bytes::new(),
    );
    for bad in [
        PersistOp::Promise(ballot(2, 9)),
        PersistOp::Accept(other),
        PersistOp::Accept(broken),
        PersistOp::Accept(vec![before_the_log]),
        PersistOp::Decided {
            slot: rows[1].slot,
            chain: Chain([1; 32]),
        },
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut wal = voter(dir.path());
        wal.commit(&[
            PersistOp::Accept(rows.clone()),
            PersistOp::Decided {
                slot: rows[1].slot,
                chain: rows[1].chain,
            },
        ])
        .unwrap();
        let refused = wal.commit(&[PersistOp::Promise(ballot(8, 8)), bad]);
        assert!(
            matches!(refused, Err(Error::Contract { .. })),
            "{refused:?}"
        );
        assert!(matches!(wal.commit(&[]), Err(Error::Stopped)));
        let copy = support::copy(dir.path());
        let restored = Wal::open(copy.path())
            .unwrap()
            .restore(&Base::EMPTY)
            .unwrap()
            .restored;
        assert_eq!(
            restored.promised,
            ballot(3, 1),
            "nothing of the bad transaction is there"
        );
        assert_eq!(restored.undecided, rows[2..]);
    }
}

/// Property: a decided row may come again, for example as the repair of a damaged one, also
/// under another ballot.
#[test]
fn a_decided_row_may_be_written_again_with_its_value() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = voter(dir.path());
    let rows = entries(Chain::GENESIS, Slot::FIRST, 2, ballot(3, 1));
    let decided = PersistOp::Decided {
        slot: rows[1].slot,
        chain: rows[1].chain,
    };
    wal.commit(&[PersistOp::Accept(rows.clone()), decided])
        .unwrap();
    let again = rows[0].reproposed(Chain::GENESIS, ballot(4, 2));
    wal.commit(&[PersistOp::Accept(vec![again.clone()])])
        .unwrap();
    assert_eq!(wal.read_rows(Slot::FIRST, Slot::FIRST, 1).unwrap(), [again]);
}

/// Property: pages end at the byte bound, hold at least one row, and a hole is no answer.
#[test]
fn reads_are_bounded_and_gapless() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = voter(dir.path());
    let rows = entries(Chain::GENESIS, Slot::FIRST, 10, ballot(1, 1));
    let last = rows[9].slot;
    let mut with_hole = rows.clone();
    with_hole.remove(6);
    wal.commit(&[PersistOp::Accept(with_hole)]).unwrap();
    assert_eq!(wal.read_rows(Slot::FIRST, last, 1).unwrap(), rows[..1]);
    let three = rows[..3].iter().map(Entry::weight_bytes).sum();
    assert_eq!(wal.read_rows(Slot::FIRST, last, three).unwrap(), rows[..3]);
    assert_eq!(
        wal.read_rows(Slot::FIRST, rows[5].slot, usize::MAX)
            .unwrap(),
        rows[..6]
    );
    let hole = wal.read_rows(Slot::FIRST, last, usize::MAX);
    assert!(matches!(hole, Err(Error::RowMissing { slot, .. }) if slot == rows[6].slot));
    let compacted = wal.read_rows(Slot::GENESIS, last, 1);
    assert!(matches!(compacted, Err(Error::Compacted { .. })));
}
