-- Part of schema.sql, in a file of its own because a file of format 2 gets it when it is opened
-- (migrate.rs).

-- The voters as the notices know them, so that each line about one follows the one before. Empty
-- until the first notice.
CREATE TABLE watched (
    node        INTEGER PRIMARY KEY,
    silent_slot INTEGER NOT NULL -- where its silence was announced; 0 for one that is heard
) STRICT;
