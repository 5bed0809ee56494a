-- What later events make of messages, and who has read what (formats up to 4 lack it). Rows are
-- few beside the messages: a message that nobody edits, answers, marks or mentions anybody in has
-- none. In `events` the kinds 70 edited, 71 deleted, 72 reaction added, 73 reaction removed, 74
-- pinned and 75 unpinned have the `seq` of their message in `reply_to`; `body` is the new text or the
-- emoji. A deleted message, and its edits, have no `body`. In `user_events` kind 70 is a read
-- marker, its `seq` in `head`.

-- Answers and changes of a message: a thread, the edit history.
CREATE INDEX events_by_target ON events (room, reply_to, kind, seq) WHERE reply_to IS NOT NULL;

CREATE TABLE message_states (
    room       INTEGER NOT NULL,
    seq        INTEGER NOT NULL, -- the message
    rev        INTEGER NOT NULL, -- the `seq` of the latest event that concerns it
    edit_seq   INTEGER,          -- the `seq` of the edit whose text it has; NULL for none
    pinned_seq INTEGER,          -- the `seq` of the pin; NULL when it is not pinned
    replies    INTEGER NOT NULL, -- messages that answer it, deleted ones included
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX pins_by_room ON message_states (room, pinned_seq) WHERE pinned_seq IS NOT NULL;

CREATE TABLE reactions (
    room      INTEGER NOT NULL,
    seq       INTEGER NOT NULL, -- the message
    emoji     TEXT    NOT NULL,
    user      INTEGER NOT NULL,
    added_seq INTEGER NOT NULL, -- the `seq` of its event
    PRIMARY KEY (room, seq, emoji, user)
) STRICT, WITHOUT ROWID;

-- Whom a message mentions, by its newest text, in the order in which it is asked for.
CREATE TABLE mentions (
    user INTEGER NOT NULL, -- 0: everybody in the room
    room INTEGER NOT NULL,
    seq  INTEGER NOT NULL,
    PRIMARY KEY (user, room, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX mentions_by_message ON mentions (room, seq, user);

-- Up to where each member of a room has read. Unread is counted from it and never stored.
CREATE TABLE read_markers (
    user INTEGER NOT NULL,
    room INTEGER NOT NULL,
    seq  INTEGER NOT NULL, -- never lower than the `seq` of the person's latest join
    PRIMARY KEY (user, room)
) STRICT, WITHOUT ROWID;
