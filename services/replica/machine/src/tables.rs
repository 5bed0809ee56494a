//! The tables, as the checks and the hash read them.

/// A table of state.db.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Those that are state, in the order of the schema. Named, so that a new one is left out
    /// until it is added here on purpose; a test of hash.rs knows when one is missing.
    pub(crate) columns: &'static str,
    /// The primary key, which is the order of the rows.
    pub(crate) key: &'static [&'static str],
}

impl Table {
    /// Reads all rows, in their order.
    pub(crate) fn rows(&self) -> String {
        let Self { name, columns, key } = self;
        format!("SELECT {columns} FROM {name} ORDER BY {}", key.join(", "))
    }

    /// Reads at most `?2` rows whose key, of one column, is above `?1`.
    pub(crate) fn rows_after(&self) -> String {
        let Self { name, columns, key } = self;
        let key = key.first().copied().unwrap_or_default();
        format!("SELECT {columns} FROM {name} WHERE {key} > ?1 ORDER BY {key} LIMIT ?2")
    }

    /// Reads the first row, and the last one.
    pub(crate) fn edges(&self) -> [String; 2] {
        let Self { name, columns, key } = self;
        ["", " DESC"].map(|direction| {
            let order: Vec<String> = key.iter().map(|key| format!("{key}{direction}")).collect();
            format!(
                "SELECT {columns} FROM {name} ORDER BY {} LIMIT 1",
                order.join(", ")
            )
        })
    }
}

/// All of them.
pub(crate) const TABLES: [Table; 22] = [
    Table {
        name: "applied",
        columns: "id, slot, chain, timestamp, configuration, crc",
        key: &["id"],
    },
    Table {
        name: "nodes",
        columns: "node, disk_id, address, updated_slot, created_ms",
        key: &["node"],
    },
    Table {
        name: "accounts",
        columns: "id, name, name_folded, role, useq, created_slot, created_ms",
        key: &["id"],
    },
    Table {
        name: "sessions",
        columns: "token_hash, user, created_slot, created_ms",
        key: &["token_hash"],
    },
    Table {
        name: "sender_sessions",
        columns: "id, author, last_seq",
        key: &["id"],
    },
    Table {
        name: "rooms",
        columns: "id, name, name_folded, kind, topic, archived, created_by, created_slot, \
                  created_ms, head, messages, members",
        key: &["id"],
    },
    Table {
        name: "members",
        columns: "room, user, joined_seq, joined_ms",
        key: &["room", "user"],
    },
    Table {
        name: "events",
        columns: "eid, room, seq, kind, author, ts, msg_no, cid, body, reply_to, crc",
        key: &["eid"],
    },
    Table {
        name: "user_events",
        columns: "eid, user, useq, kind, room, room_name, head, members, token_hash, crc",
        key: &["eid"],
    },
    Table {
        name: "dedupe",
        columns: "cid, author, kind, place, number",
        key: &["cid", "author"],
    },
    Table {
        name: "watched",
        columns: "node, silent_slot",
        key: &["node"],
    },
    Table {
        name: "message_states",
        columns: "room, seq, rev, edit_seq, pinned_seq, replies",
        key: &["room", "seq"],
    },
    Table {
        name: "reactions",
        columns: "room, seq, emoji, user, added_seq",
        key: &["room", "seq", "emoji", "user"],
    },
    Table {
        name: "mentions",
        columns: "user, room, seq",
        key: &["user", "room", "seq"],
    },
    Table {
        name: "read_markers",
        columns: "user, room, seq",
        key: &["user", "room"],
    },
    Table {
        name: "profiles",
        columns: "user, password, password_slot, colour, deactivated_slot",
        key: &["user"],
    },
    Table {
        name: "former_names",
        columns: "user, until, name",
        key: &["user", "until"],
    },
    Table {
        name: "session_devices",
        columns: "token_hash, device",
        key: &["token_hash"],
    },
    Table {
        name: "settings",
        columns: "id, sign_up",
        key: &["id"],
    },
    Table {
        name: "invitations",
        columns: "id, secret_hash, created_by, created_ms, uses_left, role, room",
        key: &["id"],
    },
    Table {
        name: "room_wishes",
        columns: "user, room, level, favourite",
        key: &["user", "room"],
    },
    Table {
        name: "taken_away",
        columns: "room, seq, user",
        key: &["room", "seq"],
    },
];
