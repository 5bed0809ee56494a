-- log.db: what an acceptor must not forget. One file, so that a promise and the rows accepted
-- under it share a transaction (trap 3 of DESIGN.md).
--
-- Format 1. `PRAGMA application_id` says that the file is ours, `PRAGMA user_version` its
-- format; both are written by the transaction that makes these tables.
--
-- Every number is unsigned 64 bit in the program and stored with the same bits, so a value
-- from 2^63 up reads as negative here. Slots stay below that: they must sort.

-- Who this disk is and what it promised. One row, kept twice. The copies are two tables and
-- not two rows because each table has pages of its own: one bad page cannot take both.
-- `crc` covers all other columns. Both copies are written by every transaction that changes
-- one of them; `revision` counts these, so that a copy whose write the disk lost is known.
CREATE TABLE meta_a (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    revision       INTEGER NOT NULL,
    disk_id        TEXT    NOT NULL, -- UUIDv4, drawn when the file was made, never changed
    cluster_id     TEXT,             -- this and the next three: NULL before the genesis
    cluster_name   TEXT,
    node_id        INTEGER,
    genesis        BLOB,             -- opaque here; one for ever
    confirmed      INTEGER NOT NULL, -- 1: all founders hold the genesis, voting is allowed
    promised_epoch INTEGER NOT NULL, -- the promised ballot, never lowered
    promised_round INTEGER NOT NULL,
    promised_node  INTEGER NOT NULL,
    active_epoch   INTEGER NOT NULL, -- 0 before the first; rule D7
    compacted_to   INTEGER NOT NULL, -- `log` holds no slot up to this one
    crc            INTEGER NOT NULL
) STRICT;

CREATE TABLE meta_b (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    revision       INTEGER NOT NULL,
    disk_id        TEXT    NOT NULL,
    cluster_id     TEXT,
    cluster_name   TEXT,
    node_id        INTEGER,
    genesis        BLOB,
    confirmed      INTEGER NOT NULL,
    promised_epoch INTEGER NOT NULL,
    promised_round INTEGER NOT NULL,
    promised_node  INTEGER NOT NULL,
    active_epoch   INTEGER NOT NULL,
    compacted_to   INTEGER NOT NULL,
    crc            INTEGER NOT NULL
) STRICT;

-- What changes with every transaction. The two rows are written in turn (disk_seq modulo 2):
-- one page per transaction, and the row that is not written holds the state one transaction
-- ago, which is good enough for a hint.
CREATE TABLE progress (
    copy     INTEGER PRIMARY KEY CHECK (copy IN (0, 1)),
    disk_seq INTEGER NOT NULL, -- +1 per transaction: shows peers a disk that was turned back
    decided  INTEGER NOT NULL, -- the commit index; may lag (rule D4)
    chain    BLOB    NOT NULL, -- the chain at `decided`
    rows     INTEGER NOT NULL, -- in `log`: a row that vanishes without a trace is missed
    crc      INTEGER NOT NULL
) STRICT;

-- The accepted rows. Keyed by slot alone and written in slot order: one B-tree, appended to.
CREATE TABLE log (
    slot      INTEGER PRIMARY KEY,
    epoch     INTEGER NOT NULL, -- this and the next two: the ballot of the acceptance
    round     INTEGER NOT NULL,
    node      INTEGER NOT NULL,
    kind      INTEGER NOT NULL, -- EntryKind of crate `paxos`
    timestamp INTEGER NOT NULL, -- milliseconds since 1970, the proposing leader's clock
    payload   BLOB    NOT NULL,
    chain     BLOB    NOT NULL, -- SHA-256 over the prefix up to and including this row
    crc       INTEGER NOT NULL  -- over all columns above, made by the proposing leader
) STRICT;

-- Where the other replicas were last seen, so that a restart works without the membership
-- service. A cache: a wrong address fails at the certificate check.
CREATE TABLE peers (
    node    INTEGER PRIMARY KEY,
    address TEXT    NOT NULL
) STRICT;
