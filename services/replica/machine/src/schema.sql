-- state.db: what the log means. Everything here is a function of the log's prefix up to
-- `applied.slot`, the same on every replica, and can be rebuilt from it (or from another
-- replica's copy) at any time. So `synchronous=NORMAL` is enough: after a power loss the file
-- is an older consistent state, and the log brings it forward.
--
-- Format 6: these tables, the one of watched.sql, which format 2 did not have, those of messages.sql,
-- which formats 3 and 4 did not have, and those of people.sql, which format 5 did not have.
-- `PRAGMA application_id` says that the file is ours, `PRAGMA user_version` its format; both are
-- written by the transaction that makes these tables.
--
-- Keys are in log order wherever rows are many: an append to the right edge of a B-tree costs
-- 2–3 µs, an insert at a random place 12–23 µs.
--
-- Foreign keys are not declared: the only writer is the apply path, which has looked the row
-- up already, and the check would cost a second look-up per message.

-- How far the log is applied. One row, changed by the transaction that has the effects. `flushes` is
-- not written any more (flusher.rs syncs without it); SQLite keeps this text, so the table has it.
CREATE TABLE applied (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    slot      INTEGER NOT NULL,
    chain     BLOB    NOT NULL CHECK (length(chain) = 32), -- SHA-256 of the prefix up to `slot`
    timestamp INTEGER NOT NULL, -- leader's clock in the entry at `slot`, milliseconds since 1970
    configuration BLOB, -- of the latest `Seal` up to `slot` (paxos::Configuration::encode);
              -- NULL before the first one: the genesis' configuration
    crc       INTEGER NOT NULL, -- CRC-32 of the four columns before it (checksum.rs)
    flushes   INTEGER NOT NULL  -- how often this file was made durable; not part of the state
) STRICT;

-- Replicas that registered through the log: an id for a disk, for ever. Not the first voters,
-- whose ids (1 to 1023) the genesis gives. Never deleted: an id is never given twice, and a disk
-- that comes back years later gets its own again.
CREATE TABLE nodes (
    node         INTEGER PRIMARY KEY, -- the slot of the first registration of this disk
    disk_id      BLOB    NOT NULL UNIQUE CHECK (length(disk_id) = 16),
    address      TEXT    NOT NULL,    -- host:port, as of the latest registration
    updated_slot INTEGER NOT NULL,    -- of the latest registration
    created_ms   INTEGER NOT NULL     -- of the first one
) STRICT;

-- People. Never deleted: events refer to them for ever, and `max(id) + 1` is the next id.
-- What else an account has, and what it was called before, is in people.sql.
CREATE TABLE accounts (
    id           INTEGER PRIMARY KEY, -- 1, 2, 3 … in apply order
    name         TEXT    NOT NULL,    -- as written, trimmed
    name_folded  TEXT    NOT NULL UNIQUE, -- see names.rs
    role         INTEGER NOT NULL,    -- 1 owner, 2 admin, 3 moderator, 4 member, 5 guest, 6 bot
    useq         INTEGER NOT NULL,    -- the highest `useq` of the person's own stream
    created_slot INTEGER NOT NULL,
    created_ms   INTEGER NOT NULL
) STRICT;

-- Who is signed in. The token itself is known to the client alone.
CREATE TABLE sessions (
    token_hash   BLOB    PRIMARY KEY CHECK (length(token_hash) = 32), -- SHA-256 of the token
    user         INTEGER NOT NULL,
    created_slot INTEGER NOT NULL,
    created_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A person lists and revokes the own sessions.
CREATE INDEX sessions_by_user ON sessions (user);

-- Sender sessions: an order in which commands of one author take effect. (Not who is signed in;
-- that is `sessions`.) Closed ones are deleted: an id is never given twice, so one that is not
-- here is closed or never was. A few per author, so the table grows with the accounts only.
CREATE TABLE sender_sessions (
    id       INTEGER PRIMARY KEY, -- `slot << 16 | n`, n the place in the batch of the command that
                                  -- opened it
    author   INTEGER NOT NULL,
    last_seq INTEGER NOT NULL     -- the highest `sender_seq` that was answered; 0 at first
) STRICT;

-- An author's oldest ones are closed when there are too many.
CREATE INDEX sender_sessions_by_author ON sender_sessions (author, id);

-- Rooms. Never deleted, for the same reasons as accounts; an unwanted one is archived. Beside the
-- kinds below there is 4, the room of the cluster (notices.rs): id 2^32 - 1, everybody is in it
-- without a row in `members`.
-- `head`, `messages` and `members` are kept here because every reader asks for them; they are
-- written once per transaction, not once per message.
CREATE TABLE rooms (
    id           INTEGER PRIMARY KEY, -- 1, 2, 3 …; the shard in the high bits, 0 here
    name         TEXT    NOT NULL,
    name_folded  TEXT    NOT NULL UNIQUE,
    kind         INTEGER NOT NULL,    -- 1 public, 2 private, 3 direct
    topic        TEXT    NOT NULL,    -- '' for none
    archived     INTEGER NOT NULL,    -- 0 or 1
    created_by   INTEGER NOT NULL,
    created_slot INTEGER NOT NULL,
    created_ms   INTEGER NOT NULL,
    head         INTEGER NOT NULL,    -- the highest `seq`
    messages     INTEGER NOT NULL,    -- the highest `msg_no`
    members      INTEGER NOT NULL     -- rows in `members`
) STRICT;

-- Who is in which room now.
CREATE TABLE members (
    room       INTEGER NOT NULL,
    user       INTEGER NOT NULL,
    joined_seq INTEGER NOT NULL, -- the `seq` of the latest `joined` event
    joined_ms  INTEGER NOT NULL,
    PRIMARY KEY (room, user)
) STRICT, WITHOUT ROWID;

-- The rooms of a person, asked at every connect.
CREATE INDEX members_by_user ON members (user, room);

-- The durable events of all rooms, in the order in which they were applied. `eid` is
-- `slot << 16 | n`, n counting the effects of a slot over both event tables: a range of slots
-- is a range of the primary key, and merging the two tables by `eid` gives the original order.
-- Beside the kinds below there is 5, a notice: its author is 0, its body what notices.rs writes.
CREATE TABLE events (
    eid      INTEGER PRIMARY KEY,
    room     INTEGER NOT NULL,
    seq      INTEGER NOT NULL, -- 1, 2, 3 … per room, no hole (claim C1)
    kind     INTEGER NOT NULL, -- 1 message, 2 created, 3 joined, 4 left
    author   INTEGER NOT NULL,
    ts       INTEGER NOT NULL, -- leader's clock, milliseconds since 1970
    msg_no   INTEGER,          -- messages: 1, 2, 3 … per room
    cid      BLOB,             -- messages: the client's id
    body     TEXT,             -- messages: the text; created: the room's name
    reply_to INTEGER,          -- messages: the `seq` that is answered; NULL for none
    crc      INTEGER NOT NULL  -- CRC-32 of all columns before it (checksum.rs)
) STRICT;

-- History by room. One append per room and event.
CREATE UNIQUE INDEX events_by_room ON events (room, seq);

-- The durable events of each person's own stream. What a `joined` event said about its room
-- is kept, because a replay must say the same.
CREATE TABLE user_events (
    eid        INTEGER PRIMARY KEY, -- as in `events`, from the same counter
    user       INTEGER NOT NULL,
    useq       INTEGER NOT NULL, -- 1, 2, 3 … per person, no hole
    kind       INTEGER NOT NULL, -- 1 joined, 2 left, 3 session revoked
    room       INTEGER,          -- joined, left
    room_name  TEXT,             -- joined
    head       INTEGER,          -- joined: the room's `seq` including this join
    members    INTEGER,          -- joined: including this person
    token_hash BLOB,             -- session revoked
    crc        INTEGER NOT NULL  -- CRC-32 of all columns before it (checksum.rs)
) STRICT;

CREATE UNIQUE INDEX user_events_by_user ON user_events (user, useq);

-- The answer to every command, for ever: `(author, cid)` takes effect once (claim C2), and the
-- first answer stands, a refusal too (dedupe.rs says why). `cid` comes first because a UUIDv7
-- begins with the time: the table grows at its right edge. Numbers instead of encoded messages,
-- so that neither an encoder nor the wording of a refusal is part of the state.
CREATE TABLE dedupe (
    cid    BLOB    NOT NULL CHECK (length(cid) = 16),
    author INTEGER NOT NULL, -- 0 for a sign-up
    kind   INTEGER NOT NULL, -- 1 message posted, 2 account created, 3 done, 4 room changed,
                             -- 5 refusal, 6 sender session opened
    place  INTEGER NOT NULL, -- message posted: the `eid` of its event; else the slot
    number INTEGER,          -- account created, room changed, sender session opened: its id;
                             -- refusal: the reason (refusal.rs); else NULL
    PRIMARY KEY (cid, author)
) STRICT, WITHOUT ROWID;
