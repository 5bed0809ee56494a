//! Every bound of the gateway, each with its reason. docs/protocol.md 4 announces those that
//! clients feel.

use std::time::Duration;

/// A frame from a client. Larger than a message, since JSON may write a character as `\u0000`.
pub(crate) const FRAME_BYTES_MAX: usize = 64 * 1024;
/// The text of a message.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// What is typed into the search field.
pub(crate) const SEARCH_CHARS_MAX: usize = 256;
/// Hits on one page of a search.
pub(crate) const SEARCH_PAGE_MAX: u32 = 50;
/// Hits when the caller names no number.
pub(crate) const SEARCH_PAGE_DEFAULT: u32 = 20;
/// The emoji of a reaction.
pub(crate) const EMOJI_BYTES_MAX: usize = 64;
/// The name of a person, after trimming.
pub(crate) const PERSON_NAME_CHARS_MAX: usize = 32;
/// The name of a room.
pub(crate) const ROOM_NAME_CHARS_MAX: usize = 64;
/// The secret of a sign-up: at least 32 characters, so that it cannot be guessed.
pub(crate) const SECRET_CHARS: std::ops::RangeInclusive<usize> = 32..=128;

/// The fewest characters of a password: NIST SP 800-63B.
pub(crate) const PASSWORD_CHARS_MIN: usize = 8;
/// The most bytes of a password: a sentence of any script.
pub(crate) const PASSWORD_BYTES_MAX: usize = 512;
/// Passwords that wait for a thread; at 25 ms each this is a second.
pub(crate) const PASSWORDS_WAITING_MAX: usize = 64;
/// Accounts and addresses whose tries are counted: some MiB.
pub(crate) const ATTEMPTS_KEYS_MAX: usize = 20_000;
/// What a session is listed as, in characters of ASCII.
pub(crate) const DEVICE_BYTES_MAX: usize = 64;

/// Requests without an answer per connection: a browser needs one per room it writes in.
pub(crate) const IN_FLIGHT_MAX: usize = 16;
/// Frames that wait for a slow client.
pub(crate) const OUTBOX_FRAMES_MAX: usize = 512;
/// Bytes that wait for a slow client: with 10 000 sockets all stuck this is 10 GB, which the
/// lag rule frees again; one stuck socket costs no more than one picture.
pub(crate) const OUTBOX_BYTES_MAX: usize = 1024 * 1024;
/// Frames that share a flush, and so a system call.
pub(crate) const FLUSH_FRAMES_MAX: usize = 64;
/// Bytes that share a flush. tungstenite keeps a buffer of this size per connection for ever,
/// so it decides what an idle connection costs.
pub(crate) const FLUSH_BYTES_MAX: usize = 8 * 1024;
/// tungstenite allocates this at once for every connection.
pub(crate) const SOCKET_READ_BUFFER_BYTES: usize = 4 * 1024;
/// Notices to a session about its own stream, its lag, its end.
pub(crate) const INBOX_MAX: usize = 64;
/// Malformed frames after which a socket is closed.
pub(crate) const MALFORMED_MAX: u32 = 10;

/// Events of a room that are kept serialised while somebody listens: what happened between the
/// end of a replay and its going live, and what a short reconnect missed.
pub(crate) const RING_FRAMES_MAX: usize = 64;
/// Bytes of these.
pub(crate) const RING_BYTES_MAX: usize = 64 * 1024;
/// More missing events than this are not replayed on the socket.
pub(crate) const REPLAY_EVENTS_MAX: u64 = 500;
/// How many of the newest are replayed instead.
pub(crate) const REPLAY_NEWEST: u64 = 50;
/// Events per page that a replay asks a replica for: 100 messages of full size are 1.6 MB.
pub(crate) const REPLAY_PAGE: u32 = 100;
/// Events per page of the HTTP interface.
pub(crate) const HISTORY_PAGE_MAX: u32 = 200;
/// The page when the caller names no size.
pub(crate) const HISTORY_PAGE_DEFAULT: u32 = 50;
/// An answer of a replica: a history page of full size, with room.
pub(crate) const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Commands of all clients that wait for an outcome. At 60 000 a second and 5 s of patience
/// the leader's window is the limit long before.
pub(crate) const PENDING_MAX: usize = 16 * 1024;
/// Commands on their way to the router's task.
pub(crate) const SUBMIT_QUEUE_MAX: usize = 1024;
/// Commands that wait for the flow control of the stream to the leader.
pub(crate) const LINK_QUEUE_MAX: usize = 256;
/// Commands or answers that the router takes in one turn.
pub(crate) const ROUTER_TURN_MAX: usize = 256;
/// Answers that a session has not yet taken: one for each request, and room for progress.
pub(crate) const ANSWERS_MAX: usize = IN_FLIGHT_MAX + 32;
/// Reports of pollers on their way to the view.
pub(crate) const REPORTS_MAX: usize = 64;
/// Sessions that are remembered so that not every HTTP request asks a replica.
pub(crate) const SESSIONS_CACHED_MAX: usize = 10_000;
/// Accounts whose rate is remembered after their last socket has gone.
pub(crate) const BUCKETS_MAX: usize = 10_000;
/// HTTP requests at work; the next one hears `overloaded`.
pub(crate) const HTTP_CONCURRENT_MAX: usize = 256;
/// Body of an HTTP request.
pub(crate) const HTTP_BODY_BYTES_MAX: usize = 64 * 1024;

/// How long a command is tried before the client hears `no_quorum`: the protocol promises 5 s.
pub(crate) const SUBMIT_PATIENCE: Duration = Duration::from_millis(4500);
/// An unanswered command makes the gateway look at the cluster closely after this.
pub(crate) const SUBMIT_SUSPICION: Duration = Duration::from_millis(250);
/// The router looks at deadlines this often while something is pending.
pub(crate) const ROUTER_TICK: Duration = Duration::from_millis(25);
/// Between two attempts to open a stream to a leader.
pub(crate) const LINK_BACKOFF: Duration = Duration::from_millis(25);
/// Before a command that a replica had no room for is sent again, if it gave no time.
pub(crate) const OVERLOADED_BACKOFF: Duration = Duration::from_millis(50);

/// How long a connection is read on after its last answer, so that the other end gets it: to close
/// with something unread resets the connection, and a reset can overtake the answer.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// After the system refused a connection (no more files): it may have room later.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long browsers keep to HTTPS once they have seen it here: a year, as is usual.
pub(crate) const HSTS: &str = "max-age=31536000";

/// Between two looks at a replica.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The same while no leader is known.
pub(crate) const POLL_INTERVAL_FAST: Duration = Duration::from_millis(50);
/// How long a suspicion keeps the fast interval.
pub(crate) const POLL_FAST_FOR: Duration = Duration::from_secs(2);
/// A replica that does not answer a look within this has missed it.
pub(crate) const POLL_TIMEOUT: Duration = Duration::from_millis(400);
/// Missed looks after which a replica counts as unreachable: one can be a busy machine.
pub(crate) const POLL_MISSES_MAX: u32 = 2;
/// Between two `cluster` frames.
pub(crate) const CLUSTER_FRAME_INTERVAL: Duration = Duration::from_millis(250);
/// Between two `cluster` frames when only slots moved, as they do with each message.
pub(crate) const CLUSTER_SLOTS_INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks at the membership service until it says otherwise.
pub(crate) const MEMBERSHIP_INTERVAL: Duration = Duration::from_secs(1);
/// The same before it answered for the first time.
pub(crate) const MEMBERSHIP_INTERVAL_FIRST: Duration = Duration::from_millis(200);
/// A call to the membership service.
pub(crate) const MEMBERSHIP_TIMEOUT: Duration = Duration::from_secs(1);

/// Opening a connection to a replica.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// One attempt at a read; another replica is asked after it.
pub(crate) const READ_ATTEMPT_TIMEOUT: Duration = Duration::from_millis(700);
/// The last attempt: a replica itself waits 2 s for a slot.
pub(crate) const READ_LAST_TIMEOUT: Duration = Duration::from_millis(2500);
/// How long `start` waits until the gateway has followed the log to the client's slot.
pub(crate) const BEHIND_PATIENCE: Duration = Duration::from_secs(2);
/// How often the follower of the log looks whether another replica is ahead or leads.
pub(crate) const TAIL_LOOK: Duration = Duration::from_millis(250);
/// A replica whose log stands still for this long while another one's moves is left.
pub(crate) const TAIL_STALL: Duration = Duration::from_millis(1000);
/// A leader is followed once it has led for this long: it applies first.
pub(crate) const TAIL_LEADER_SETTLED: Duration = Duration::from_secs(5);
/// Between two attempts to follow a log.
pub(crate) const TAIL_BACKOFF: Duration = Duration::from_millis(50);

/// People that one client watches: the members of a large room.
pub(crate) const WATCHED_MAX: usize = 500;
/// Rooms and people whose writing waits for a slow client; more at once cannot be read anyhow.
pub(crate) const WRITING_WAITING_MAX: usize = 32;
/// How long it is true that somebody is writing: docs/protocol.md 2.9.
pub(crate) const WRITING_FOR: Duration = Duration::from_secs(5);
/// Frames about writing and presence that a client may send at once …
pub(crate) const EPHEMERAL_BURST: u32 = 20;
/// … and per second. A person who writes in one room sends one in three seconds.
pub(crate) const EPHEMERAL_PER_SECOND: f64 = 2.0;
/// Writing that a gateway relays to the others at once …
pub(crate) const WRITING_RELAYED_BURST: u32 = 200;
/// … and per second. Beyond it only this gateway's people see it.
pub(crate) const WRITING_RELAYED_PER_SECOND: f64 = 200.0;
/// What another gateway said of a person holds for so long.
pub(crate) const PRESENCE_LEASE: Duration = Duration::from_secs(60);
/// Each gateway says so often how all of its people are: a lease outlives two lost whispers.
pub(crate) const PRESENCE_ANNOUNCE: Duration = Duration::from_secs(20);
/// Changes are gathered for so long before they are relayed.
pub(crate) const PRESENCE_FLUSH: Duration = Duration::from_millis(250);
/// A person still counts as there for so long after the last socket: a reload takes less.
pub(crate) const PRESENCE_GRACE: Duration = Duration::from_secs(5);
/// Leases of people at other gateways: some MiB.
pub(crate) const PRESENCE_LEASES_MAX: usize = 100_000;
/// People in one whisper, each of at most 13 bytes.
pub(crate) const PRESENCE_PEOPLE_PER_WHISPER: usize = 1000;
/// A whisper, as replicas take them.
pub(crate) const WHISPER_BYTES_MAX: usize = 32 * 1024;
/// Whispers on their way to a replica; all people of a full gateway fit.
pub(crate) const WHISPERS_WAITING_MAX: usize = 256;
/// Whispers of others that wait to be looked at.
pub(crate) const WHISPERS_HEARD_MAX: usize = 1024;
/// Between two attempts to open a stream of whispers.
pub(crate) const RELAY_RETRY: Duration = Duration::from_secs(1);

/// How often a client should be heard.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);
/// A side that hears nothing for this long is gone.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(35);
/// A client says `start` within this.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(5);
/// A flush that takes longer means that the client is gone.
pub(crate) const FLUSH_TIMEOUT: Duration = Duration::from_secs(35);
/// A session found once is believed for this long. Revocations come by the log at once; this
/// bounds what happens when the log cannot be followed.
pub(crate) const SESSION_CACHED: Duration = Duration::from_secs(30);
/// An HTTP request.
pub(crate) const HTTP_TIMEOUT: Duration = Duration::from_secs(10);
/// Traces of one piece of the log that get a span of the fan-out.
pub(crate) const FAN_OUT_TRACES_MAX: usize = 256;
/// How long a stopping gateway waits for the acknowledgements in flight.
pub(crate) const DRAIN_PATIENCE: Duration = Duration::from_secs(3);
/// How long a closing socket may take to say good-bye.
pub(crate) const CLOSE_PATIENCE: Duration = Duration::from_secs(1);
/// Clients of a stopping gateway come back spread over this.
pub(crate) const DRAIN_SPREAD_MS: u32 = 2000;

const _: () = assert!(PRESENCE_PEOPLE_PER_WHISPER * 15 < WHISPER_BYTES_MAX);
const _: () = assert!(3 * PRESENCE_ANNOUNCE.as_secs() <= PRESENCE_LEASE.as_secs());
// A frame holds any message, also one that is written in escapes of two bytes each.
const _: () = assert!(FRAME_BYTES_MAX >= 2 * MESSAGE_BYTES_MAX);
// A replay pauses at half a queue, so what a ring adds at going live still fits.
const _: () = assert!(OUTBOX_FRAMES_MAX / 2 > RING_FRAMES_MAX + 1);
const _: () = assert!(OUTBOX_BYTES_MAX / 2 > RING_BYTES_MAX + FRAME_BYTES_MAX);
const _: () = assert!(REPLAY_NEWEST <= REPLAY_PAGE as u64);
const _: () = assert!(SUBMIT_PATIENCE.as_millis() < 5000);
