-- log.db: what an acceptor must not forget. One file, so that a promise and the rows accepted
-- under it share a transaction (trap 3 of DESIGN.md).
--
-- Format 2 (`migrate.rs` brings format 1 forward). `PRAGMA application_id` says that the file is
-- ours, `PRAGMA user_version` its format; both are written by the transaction that makes these
-- tables.
--
-- Every number is unsigned 64 bit in the program and stored with the same bits, so a value
-- from 2^63 up reads as negative here. Slots stay below that: they must sort.

-- Who this disk is and what it promised. One row, kept twice. The copies are two tables and
-- not two rows because each table has pages of its own: one bad page cannot take both.
-- `crc` covers all other columns. Both copies are written by every transaction that changes
-- one of them; `revision` counts these, so that a copy whose write the disk lost is known.
CREATE TABLE IF NOT EXISTS meta_a (
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
    configuration  BLOB,             -- the active one (rule D7); NULL: none beyond the genesis
    compacted_to   INTEGER NOT NULL, -- rows up to this slot are gone, or wait for deletion
    incoming_slot  INTEGER,          -- this and the next: the snapshot that state.db is being
    incoming_chain BLOB,             -- swapped for; NULL: none
    crc            INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS meta_b (
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
    configuration  BLOB,
    compacted_to   INTEGER NOT NULL,
    incoming_slot  INTEGER,
    incoming_chain BLOB,
    crc            INTEGER NOT NULL
) STRICT;

-- What changes with every transaction. The two rows are written in turn (disk_seq modulo 2):
-- one page per transaction, and the row that is not written holds the state one transaction
-- ago, which is good enough for a hint.
CREATE TABLE IF NOT EXISTS progress (
    copy     INTEGER PRIMARY KEY CHECK (copy IN (0, 1)),
    disk_seq INTEGER NOT NULL, -- +1 per transaction: shows peers a disk that was turned back
    decided  INTEGER NOT NULL, -- the commit index; may lag (rule D4)
    chain    BLOB    NOT NULL, -- the chain at `decided`
    rows     INTEGER NOT NULL, -- above `compacted_to`: one that vanishes is missed
    crc      INTEGER NOT NULL
) STRICT;

-- The accepted rows. Keyed by slot alone and written in slot order: one B-tree, appended to.
-- Rows up to `compacted_to` do not count any more; the writer deletes them in portions.
CREATE TABLE IF NOT EXISTS log (
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
CREATE TABLE IF NOT EXISTS peers (
    node    INTEGER PRIMARY KEY,
    address TEXT    NOT NULL
) STRICT;

-- The highest transaction count (`disk_seq`) seen in a vote of another node's disk: a disk that
-- shows a lower one when it starts was turned back (section 2.9). May be lost.
CREATE TABLE IF NOT EXISTS witnesses (
    node     INTEGER PRIMARY KEY,
    disk_seq INTEGER NOT NULL,
    crc      INTEGER NOT NULL -- a wrong count would condemn a sound disk
) STRICT;

-- Slots whose rows were found damaged, or suspicious, when a process started, until they are
-- written again or do not count any more. The node gives no promise while there is one.
CREATE TABLE IF NOT EXISTS damaged (
    slot INTEGER PRIMARY KEY
) STRICT;
