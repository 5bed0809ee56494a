//! Every bound of this crate, with its reason.
//!
//! The bounds of names and messages are part of the state machine: to change one is a change of
//! what the log means, and needs a new batch version.

use crate::ids::EventId;

/// The oldest SQLite that may have several connections: 3.51.3 fixed the WAL-reset bug (trap
/// 15 of DESIGN.md).
pub const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// `PRAGMA application_id` of state.db: "CBXS".
pub const APPLICATION_ID: i32 = 0x4342_5853;
/// `PRAGMA user_version`: the format that this program writes. A newer one is refused. One from
/// [`FORMAT_VERSION_OLDEST`] on is brought to this one when it is opened (migrate.rs); what is older
/// still is made anew from the log or a snapshot ([`crate::Error::is_replaceable`]).
pub const FORMAT_VERSION: i32 = 7;
/// The oldest format that is migrated, as a snapshot too: 2 lacks the table `watched`, 3 and
/// 4 what messages.sql makes, 5 what people.sql makes, 6 what wishes.sql makes.
pub const FORMAT_VERSION_OLDEST: i32 = 2;
/// The highest version of batches that this program understands, and the one that it makes for
/// wishes about rooms, what moderators take away, and passwords that are reset.
pub const BATCH_VERSION: u32 = 7;
/// The version that it makes for passwords, roles and invitations.
pub const BATCH_VERSION_ROLES: u32 = 6;
/// The version that it makes for changes of messages and read markers.
pub const BATCH_VERSION_MESSAGES: u32 = 5;
/// The version that it makes for notices.
pub const BATCH_VERSION_NOTICES: u32 = 3;
/// The version that it makes for commands with sender sessions.
pub const BATCH_VERSION_SENDERS: u32 = 2;
/// The version that it makes for other commands, so that a program without sender sessions goes
/// on in a cluster of both (and, with a lower version than the highest, one without notices).
pub const BATCH_VERSION_PLAIN: u32 = 1;
/// The version of `RegisterNode` payloads that this program makes, and the highest that it
/// understands.
pub const REGISTER_NODE_VERSION: u32 = 1;

/// A disk's id: a UUID.
pub const DISK_ID_BYTES: usize = 16;
/// A node's address: the longest host name, a colon, a port.
pub const NODE_ADDRESS_BYTES_MAX: usize = 253 + 1 + 5;
/// Disks that can register, ever: one a day for 44 years. All of them fit one answer.
pub const NODES_MAX: usize = 16 * 1024;

/// A message: two hundred lines of text. Longer ones are files.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// The emoji of a reaction, in UTF-8: the longest sequences have 35 bytes.
pub const EMOJI_BYTES_MAX: usize = 64;
/// Reactions to one message, over all people and emoji: every reader of it gets all of them.
pub const REACTIONS_PER_MESSAGE_MAX: u64 = 500;
/// Pinned messages of a room: a list that is read at once.
pub const PINS_PER_ROOM_MAX: u64 = 100;
/// Places of a text at which a mention is looked for. More are not one for a person to read.
pub const MENTIONS_SOUGHT_MAX: usize = 32;
/// Word ends after each at which a name may end: with the above, at most 256 look-ups for a text.
pub const MENTION_WORDS_MAX: usize = 8;
/// Messages that are counted as unread in one room; the page shows "99+".
pub const UNREAD_MAX: i64 = 100;
/// Events behind a read marker that are looked at to count them: about half a millisecond.
pub const UNREAD_EVENTS_MAX: i64 = 1000;
/// Events that the search index takes in at once: some hundred milliseconds, in which nobody waits
/// for it. Every batch is a segment of the index, and segments are merged again and again.
pub const SEARCH_BATCH_EVENTS: i64 = 4000;
/// Pages in the WAL of the search index after which a commit checkpoints it: 16 MiB, so that its
/// syncs are few beside those of the log.
pub const SEARCH_CHECKPOINT_PAGES: u32 = 4096;
/// Memory for pages of the search index' writer.
pub const SEARCH_CACHE_KIB: i64 = 4 * 1024;
/// Messages in one answer of a search.
pub const SEARCH_HITS_MAX: usize = 50;
/// Words of a message that are shown around a hit.
pub const SEARCH_SNIPPET_WORDS: usize = 24;
/// Words of a question, and as many that are not wanted.
pub const SEARCH_WORDS_MAX: usize = 16;
/// The name of a person, in characters: what a message list can show on a phone.
pub const PERSON_NAME_CHARS_MAX: usize = 32;
/// The name of a room, in characters.
pub const ROOM_NAME_CHARS_MAX: usize = 64;
/// A command's id: a UUID.
pub const CID_BYTES: usize = 16;
/// A session token's hash: SHA-256.
pub const TOKEN_HASH_BYTES: usize = 32;

/// A PHC string of argon2id: about 100 bytes.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// What a session is listed as.
pub const DEVICE_BYTES_MAX: usize = 64;
/// Sessions of an account: more devices than anybody has. With one more the oldest is ended.
pub const SESSIONS_MAX: i64 = 64;
/// Colours of the page's palette.
pub const COLOUR_MAX: i64 = 12;
/// Accounts that one invitation may make.
pub const INVITATION_USES_MAX: u32 = 1000;
/// Invitations in one list.
pub const INVITATIONS_LISTED_MAX: usize = 1000;

/// Sender sessions that an author can have open: every tab of every device of a person. With one
/// more the oldest is closed.
pub const SENDER_SESSIONS_MAX: usize = 32;

/// People in a direct room: more are a private room.
pub const DIRECT_PEOPLE_MAX: usize = 8;
/// What a room is about, in characters: two lines of its header.
pub const TOPIC_CHARS_MAX: usize = 250;

/// Effects of one command: a direct room makes `created` and each person's `joined`.
pub const COMMAND_EFFECTS_MAX: usize = 1 + DIRECT_PEOPLE_MAX;

/// Events in one answer about history; more than any client asks for at once.
pub const HISTORY_EVENTS_MAX: usize = 500;
/// Bytes of events in one answer, after which it ends early: half of gRPC's default limit of
/// 4 MiB, so that one more event of the largest kind and the framing fit.
pub const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Rooms in one list.
pub const ROOMS_LISTED_MAX: usize = 10_000;
/// Members in one list: 50 000 with names of ordinary length stay below gRPC's limit.
pub const MEMBERS_LISTED_MAX: usize = 50_000;

/// Accounts, rooms, memberships and sender sessions kept in memory, each: a few MiB. Beyond it the cache starts
/// anew, which costs one look-up per row.
pub const CACHED_ROWS_MAX: usize = 32_768;
/// Prepared statements kept per connection; more than there are.
pub const STATEMENTS_CACHED_MAX: usize = 64;
/// Size of a page of state.db: 15 % faster than 4 KiB for rows of messages.
pub const SQLITE_PAGE_BYTES: u32 = 8 * 1024;
/// Memory for pages of the writer. A transaction larger than it spills to the WAL early; the
/// places where rows are added are a few pages per table and one per busy room.
pub const SQLITE_CACHE_KIB: i64 = 16 * 1024;
/// Pages in the WAL after which it is copied into the file, beside the commits ([`crate::Flusher`]):
/// 32 MiB, so that the syncs of a checkpoint are shared by some hundred thousand messages.
pub const CHECKPOINT_PAGES: u32 = 4096;
/// Pages in the WAL after which a commit checkpoints it itself: the disk does not keep up, and
/// whoever waits for an answer has to wait.
pub const CHECKPOINT_PAGES_MAX: u32 = 4 * CHECKPOINT_PAGES;
/// How often one checkpoint copies what was committed during the last time.
pub const CHECKPOINT_ROUNDS_MAX: u32 = 8;
/// Bytes of the WAL that stay on disk after a checkpoint: twice of what a checkpoint usually
/// finds. It grows beyond that while a snapshot is being made, and should not stay so.
pub const WAL_BYTES_KEPT: u32 = 2 * CHECKPOINT_PAGES * SQLITE_PAGE_BYTES;
/// How long a connection waits for another one's short lock (recovery, checkpoint).
pub const BUSY_TIMEOUT_MS: u64 = 5_000;

/// The version of snapshot manifests that this program makes and reads.
pub const MANIFEST_VERSION: u32 = 1;
/// A manifest on the disk, in bytes: its hashes and the largest configuration, several times.
pub const MANIFEST_BYTES_MAX: u64 = 4096;
/// A snapshot, in bytes. No disk of a replica is larger; a manifest that says more is wrong.
pub const SNAPSHOT_BYTES_MAX: u64 = 1 << 40;
/// Bytes of one chunk of a snapshot: a quarter of gRPC's default limit, and little enough that
/// a slow line does not hold up what else has to go over it.
pub const CHUNK_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a snapshot that may arrive again after a crash. Two syncs of the disk for each.
pub const RECEIVED_SYNC_BYTES: u64 = 16 * 1024 * 1024;

const _: () = assert!(
    CHUNK_BYTES_MAX as u64 <= RECEIVED_SYNC_BYTES,
    "a sync is for several chunks"
);
const _: () = assert!(
    paxos::limits::BATCH_COMMANDS_MAX * COMMAND_EFFECTS_MAX <= EventId::ORDINAL_MAX as usize,
    "the effects of the largest batch can be numbered"
);
const _: () = assert!(
    MESSAGE_BYTES_MAX * 4 <= paxos::limits::BATCH_BYTES_MAX,
    "several of the largest messages fit a slot"
);
const _: () = assert!(MESSAGE_BYTES_MAX <= PAGE_BYTES_MAX, "an event fits a page");
