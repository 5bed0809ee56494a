-- Part of schema.sql, in a file of its own because a file of format 5 gets it when it is opened
-- (migrate.rs): what an account has besides its row in `accounts`. Without a row everything is as
-- for an account of format 5.
CREATE TABLE profiles (
    user             INTEGER PRIMARY KEY,
    password         TEXT    NOT NULL, -- PHC string of argon2id, made by a gateway; '' for none
    password_slot    INTEGER NOT NULL, -- where it was set; 0 for none
    colour           INTEGER NOT NULL, -- 1 to 12; 0: follows from the account's number
    deactivated_slot INTEGER NOT NULL  -- 0: active
) STRICT;

-- What people were called before: a replayed event shows the name that its author had when it was
-- applied, which is the one with the lowest `until` above the event, or else the one in `accounts`.
CREATE TABLE former_names (
    user  INTEGER NOT NULL,
    until INTEGER NOT NULL, -- an `eid` (schema.sql): events below it show this name
    name  TEXT    NOT NULL,
    PRIMARY KEY (user, until)
) STRICT, WITHOUT ROWID;

-- What a session is listed as.
CREATE TABLE session_devices (
    token_hash BLOB PRIMARY KEY,
    device     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- At most one row; without it, the defaults.
CREATE TABLE settings (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    sign_up INTEGER NOT NULL -- 1 open (the default), 2 by invitation, 3 closed
) STRICT;

-- Links with which people sign up. Never deleted: `max(id) + 1` is the next id.
CREATE TABLE invitations (
    id          INTEGER PRIMARY KEY,
    secret_hash BLOB    NOT NULL UNIQUE CHECK (length(secret_hash) = 32), -- SHA-256
    created_by  INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL,
    uses_left   INTEGER NOT NULL, -- 0: used up or revoked
    role        INTEGER NOT NULL, -- as in `accounts`
    room        INTEGER NOT NULL  -- 0: none
) STRICT;
