-- Part of schema.sql, in a file of its own because a file of format 6 gets it when it is opened
-- (migrate.rs). In `user_events` kind 42 is what a person wishes of a room: `head` has the level,
-- `members` 1 for a favourite.

-- What people wish of the rooms that they are in; without a row, the defaults.
CREATE TABLE room_wishes (
    user      INTEGER NOT NULL,
    room      INTEGER NOT NULL,
    level     INTEGER NOT NULL, -- 0 mentions, 1 all, 2 nothing
    favourite INTEGER NOT NULL, -- 0 or 1
    PRIMARY KEY (user, room)
) STRICT, WITHOUT ROWID;

-- Messages that a moderator took away. They are deleted besides (messages.sql).
CREATE TABLE taken_away (
    room INTEGER NOT NULL,
    seq  INTEGER NOT NULL,
    user INTEGER NOT NULL, -- the moderator
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;
