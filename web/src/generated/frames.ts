// Generated from services/gateway/src/frames.rs; do not edit.
// UPDATE=1 cargo test -p gateway typescript

export * from "./http.ts";

/** A person's account, numbered by the replicated state machine. */
export type UserId = number;

/** A room, numbered by the replicated state machine. */
export type RoomId = number;

/** 1, 2, 3 … per room: counts every durable event. */
export type Seq = number;

/** 1, 2, 3 … per room: counts messages only. */
export type MsgNo = number;

/** 1, 2, 3 … per person: counts the events of the own stream. */
export type Useq = number;

/** A position in the replicated log. */
export type Slot = number;

/** A replica of the cluster. */
export type NodeId = number;

/** The client's id for a request: a UUIDv7, made once and kept until the answer. */
export type Cid = string;

/** A person. */
export type Person = {
  /** The account. */
  id: UserId,
  /** The name. */
  name: string,
};

/** What an account may do. */
export type AccountRole = "owner" | "admin" | "moderator" | "member" | "guest" | "bot";

/** The person whose session it is. */
export type Me = {
  /** The account. */
  id: UserId,
  /** The name. */
  name: string,
  /** What the account may do. */
  role: AccountRole,
  /** A colour of the palette, 1 to 12; 0: the one that follows from the number. */
  colour: number,
  /** Whether one can sign in with a password. Without one, the account is lost with its sessions. */
  has_password: boolean,
};

/** Who did something, with the name at that time. */
export type Author = Person;

/** What a room is, for ever. */
export type RoomKind = "public" | "private" | "direct";

/** What the list of rooms and the person's own rooms say of a room. */
export type About = {
  /** What it is. */
  kind: RoomKind,
  /** What it is about. */
  topic?: string,
  /** It can only be read. */
  archived?: boolean,
  /** Of a direct room: who is in it, ascending. */
  people?: Array<UserId>,
};

/** Which messages of a room are news to a person. */
export type NotificationLevel = "mentions" | "all" | "nothing";

/** What a person wishes of a room. */
export type RoomWishes = {
  /** Which. */
  room: RoomId,
  /** Which of its messages are news. */
  level: NotificationLevel,
  /** Whether it stands above the others. */
  favourite: boolean,
};

/** A room that the person is in. */
export type Joined = {
  /** The room. */
  id: RoomId,
  /** Its name. */
  name: string,
  /** Its highest `seq`. */
  head: Seq,
  /** How many people are in it. */
  members: number,
  /** The room of the cluster: everybody reads it, nobody writes into it or leaves it. */
  system?: boolean,
  /** Up to where the person has read. */
  read?: Seq,
  /** Messages of others behind that which are not deleted: at most 100. */
  unread?: number,
  /** Whether there may be more than `unread`. */
  unread_more?: boolean,
  /** Those of them that mention the person or everybody: at most 100. */
  mentions?: number,
  /** Which of its messages are news to the person. */
  level?: NotificationLevel,
  /** Whether it stands above the others. */
  favourite?: boolean,
  /** What it is. */
  kind: RoomKind,
  /** What it is about. */
  topic?: string,
  /** It can only be read. */
  archived?: boolean,
  /** Of a direct room: who is in it, ascending. */
  people?: Array<UserId>,
};

/** Up to where a person has read a room. */
export type ReadMarker = {
  /** The room. */
  room: RoomId,
  /** The last event that was read. */
  seq: Seq,
};

/** A room that the person may join or is in. */
export type RoomSummary = {
  /** The room. */
  id: RoomId,
  /** Its name. */
  name: string,
  /** How many people are in it. */
  members: number,
  /** Whether the person is one of them. */
  joined: boolean,
  /** Its highest `seq`. */
  head: Seq,
  /** What it is. */
  kind: RoomKind,
  /** What it is about. */
  topic?: string,
  /** It can only be read. */
  archived?: boolean,
  /** Of a direct room: who is in it, ascending. */
  people?: Array<UserId>,
};

/** Something that happened to the cluster. */
export type Notice = { "what": "elected",
  /** Who leads. */
  node: NodeId,
  /** Its ballot: `round.node`. */
  ballot: string,
  /** The configuration's number. */
  epoch: number,
  /** Who led before. */
  previous?: NodeId,
  /** Milliseconds from the last sign of life of the leader before until this one took messages. */
  gap_ms?: number,
}
  | { "what": "silent",
  /** Which. */
  node: NodeId,
  /** For how long, in milliseconds. */
  for_ms: number,
}
  | { "what": "heard",
  /** Which. */
  node: NodeId,
  /** How long it was silent, in milliseconds. */
  after_ms?: number,
}
  | { "what": "voters",
  /** The configuration's number. */
  epoch: number,
  /** All that vote now. */
  voters: Array<NodeId>,
  /** Those that did not before. */
  added: Array<NodeId>,
  /** Those that do not any more. */
  removed: Array<NodeId>,
};

/** An edit of a message. */
export type Edit = {
  /** Its event. */
  seq: Seq,
  /** The leader's clock in milliseconds since 1970. */
  ts: number,
};

/** The reactions to a message with one emoji. */
export type Reaction = {
  /** Which. */
  emoji: string,
  /** Whose, in the order in which they came. */
  people: Array<Person>,
};

/** What happened in a room. */
export type EventKind = { "kind": "message",
  /** Its number among the messages of the room. */
  msg_no: MsgNo,
  /** The author's id for it. */
  cid: Cid,
  /** The text: the newest one, when it was read from history; empty for a tombstone. */
  body: string,
  /** The message that it answers. */
  reply_to?: Seq,
  /** Whether it is a tombstone. */
  deleted?: boolean,
  /** The moderator who took it away, if one did. */
  taken_away_by?: UserId,
  /** The latest event that this form of the message contains: later ones change it. */
  rev?: Seq,
  /** The edit whose text it has. */
  edited?: Edit,
  /** The event that pinned it. */
  pinned?: Seq,
  /** How many messages answer it. */
  replies?: number,
  /** By the first of each emoji. */
  reactions?: Array<Reaction>,
  /** Whom it mentions; 0 is everybody in the room. */
  mentions?: Array<UserId>,
} | { "kind": "edited",
  /** The message. */
  of: Seq,
  /** The new text; empty when the message was deleted since. */
  body: string,
  /** Whom it mentions, unless another edit has replaced it. */
  mentions?: Array<UserId>,
} | { "kind": "deleted",
  /** The message. */
  of: Seq,
} | { "kind": "reaction_added",
  /** The message. */
  of: Seq,
  /** How. */
  emoji: string,
} | { "kind": "reaction_removed",
  /** The message. */
  of: Seq,
  /** Which. */
  emoji: string,
} | { "kind": "pinned",
  /** The message. */
  of: Seq,
} | { "kind": "unpinned",
  /** The message. */
  of: Seq,
} | { "kind": "created" } | { "kind": "joined" } | { "kind": "left" } | { "kind": "added",
  /** By whom. */
  by: UserId,
} | { "kind": "removed",
  /** By whom. */
  by: UserId,
} | { "kind": "renamed",
  /** How. */
  name: string,
} | { "kind": "topic",
  /** About what; may be empty. */
  topic: string,
} | { "kind": "archived" } | { "kind": "restored" } | { "kind": "notice",
  /** What. */
  notice: Notice,
};

/** A durable event of a room. */
export type Event = {
  /** Its number in the room. */
  seq: Seq,
  /** Where it stands in the replicated log. */
  slot: Slot,
  /** The leader's clock in milliseconds since 1970; for display only. */
  ts: number,
  /** Who did it, with the name at that time; number 0 without a name for a notice. */
  author: Person,
} & ({ "kind": "message",
  /** Its number among the messages of the room. */
  msg_no: MsgNo,
  /** The author's id for it. */
  cid: Cid,
  /** The text: the newest one, when it was read from history; empty for a tombstone. */
  body: string,
  /** The message that it answers. */
  reply_to?: Seq,
  /** Whether it is a tombstone. */
  deleted?: boolean,
  /** The moderator who took it away, if one did. */
  taken_away_by?: UserId,
  /** The latest event that this form of the message contains: later ones change it. */
  rev?: Seq,
  /** The edit whose text it has. */
  edited?: Edit,
  /** The event that pinned it. */
  pinned?: Seq,
  /** How many messages answer it. */
  replies?: number,
  /** By the first of each emoji. */
  reactions?: Array<Reaction>,
  /** Whom it mentions; 0 is everybody in the room. */
  mentions?: Array<UserId>,
} | { "kind": "edited",
  /** The message. */
  of: Seq,
  /** The new text; empty when the message was deleted since. */
  body: string,
  /** Whom it mentions, unless another edit has replaced it. */
  mentions?: Array<UserId>,
} | { "kind": "deleted",
  /** The message. */
  of: Seq,
} | { "kind": "reaction_added",
  /** The message. */
  of: Seq,
  /** How. */
  emoji: string,
} | { "kind": "reaction_removed",
  /** The message. */
  of: Seq,
  /** Which. */
  emoji: string,
} | { "kind": "pinned",
  /** The message. */
  of: Seq,
} | { "kind": "unpinned",
  /** The message. */
  of: Seq,
} | { "kind": "created" } | { "kind": "joined" } | { "kind": "left" } | { "kind": "added",
  /** By whom. */
  by: UserId,
} | { "kind": "removed",
  /** By whom. */
  by: UserId,
} | { "kind": "renamed",
  /** How. */
  name: string,
} | { "kind": "topic",
  /** About what; may be empty. */
  topic: string,
} | { "kind": "archived" } | { "kind": "restored" } | { "kind": "notice",
  /** What. */
  notice: Notice,
});

/** What a replica is at the moment, as far as this gateway knows. */
export type Role = "leader" | "follower" | "candidate" | "unreachable";

/** One replica of the cluster. */
export type Replica = {
  /** Its number. */
  node: NodeId,
  /** Its name for people. */
  name: string,
  /** What it is. */
  role: Role,
  /** The ballot it promised: `round.node`. */
  ballot?: string,
  /** Its commit index. */
  decided?: Slot,
  /** How far its state machine has come. */
  applied?: Slot,
  /** How many slots it is behind the highest commit index known. */
  lag?: number,
  /** Milliseconds since its process began. */
  uptime_ms?: number,
  /** Bytes of its log on disk. */
  log_bytes?: number,
  /** Microseconds that its disk takes to keep a write to the log, smoothed. */
  disk_us?: number,
  /** Whether the membership service has not heard it. */
  suspected: boolean,
};

/** The cluster as this gateway sees it. */
export type Cluster = {
  /** The operator's name for it. */
  cluster: string,
  /** Which Paxos group. */
  shard: number,
  /** Whether a message sent now can be committed. */
  quorum: boolean,
  /** Who leads. */
  leader?: NodeId,
  /** How many replicas vote. */
  voters: number,
  /** How many of them answer this gateway. */
  up: number,
  /** The configuration's number. */
  epoch: number,
  /** Each replica, by number. */
  replicas: Array<Replica>,
  /** Whether the membership service answers. */
  membership: boolean,
  /** The name of this gateway. */
  gateway: string,
  /** Whether admins may break replicas on purpose. */
  demo: boolean,
};

/** How a person is, on the most present of all devices. */
export type Presence = "online" | "away" | "offline";

/** How one person is. */
export type PersonPresence = {
  /** Who. */
  id: UserId,
  /** How. */
  presence: Presence,
};

/** Why something was refused or failed. */
export type ErrorCode = "bad_request" | "unauthenticated" | "forbidden_origin" | "forbidden" | "not_found" | "not_member" | "name_taken" | "wrong_credentials" | "sign_up_closed" | "room_archived" | "too_large" | "rate_limited" | "no_quorum" | "overloaded" | "behind" | "no_space" | "internal";

/** Why a gateway says `bye`. */
export type ByeReason = "drain";

/** How far an own message has come. */
export type SendState = "proposed" | "chosen";

/** A `seq` per room. JSON writes the rooms as strings. */
export type RoomSeqs = Record<string, number>;

/** What a client may say. */
export type ClientFrame = { "t": "start",
  /** The last event of the own stream that it has seen. */
  useq: Useq,
  /** The highest slot that it has seen. */
  min_slot: Slot,
  /** The last `seq` that it has of each room. */
  rooms: RoomSeqs,
  /** The room on the screen: replayed first. */
  focus?: RoomId,
}
  | { "t": "send",
  /** Its id. */
  cid: Cid,
  /** Where. */
  room: RoomId,
  /** The text. */
  body: string,
  /** The message that it answers. */
  reply_to?: Seq,
  /** The trace that it belongs to: a W3C `traceparent`. What cannot be read is passed over. */
  traceparent?: string,
}
  | { "t": "create",
  /** The id of the request. */
  cid: Cid,
  /** The room's name. */
  name: string,
  /** For people who are added only; for others it does not exist. */
  private?: boolean,
}
  | { "t": "direct",
  /** The id of the request. */
  cid: Cid,
  /** 1 to 7 others. */
  people: Array<UserId>,
}
  | { "t": "invite",
  /** The id of the request. */
  cid: Cid,
  /** Which. */
  room: RoomId,
  /** Whom. */
  user: UserId,
}
  | { "t": "remove",
  /** The id of the request. */
  cid: Cid,
  /** Which. */
  room: RoomId,
  /** Whom. */
  user: UserId,
}
  | { "t": "rename",
  /** The id of the request. */
  cid: Cid,
  /** Which. */
  room: RoomId,
  /** How. */
  name: string,
}
  | { "t": "topic",
  /** The id of the request. */
  cid: Cid,
  /** Which. */
  room: RoomId,
  /** About what; empty for nothing. */
  topic: string,
}
  | { "t": "archive",
  /** The id of the request. */
  cid: Cid,
  /** Which. */
  room: RoomId,
  /** Whether it can only be read. */
  archived: boolean,
}
  | { "t": "join",
  /** The id of the request. */
  cid: Cid,
  /** Which. */
  room: RoomId,
}
  | { "t": "leave",
  /** The id of the request. */
  cid: Cid,
  /** Which. */
  room: RoomId,
}
  | { "t": "edit",
  /** The id of the request. */
  cid: Cid,
  /** Where. */
  room: RoomId,
  /** The message. */
  seq: Seq,
  /** The new text. */
  body: string,
}
  | { "t": "delete",
  /** The id of the request. */
  cid: Cid,
  /** Where. */
  room: RoomId,
  /** The message. */
  seq: Seq,
}
  | { "t": "take_away",
  /** The id of the request. */
  cid: Cid,
  /** Where. */
  room: RoomId,
  /** The message. */
  seq: Seq,
}
  | { "t": "wish",
  /** The id of the request. */
  cid: Cid,
  /** Which. */
  room: RoomId,
  /** Which of its messages are news. */
  level: NotificationLevel,
  /** Whether it stands above the others. */
  favourite: boolean,
}
  | { "t": "react",
  /** The id of the request. */
  cid: Cid,
  /** Where. */
  room: RoomId,
  /** The message. */
  seq: Seq,
  /** Which. */
  emoji: string,
  /** Whether it should be there. */
  on: boolean,
}
  | { "t": "pin",
  /** The id of the request. */
  cid: Cid,
  /** Where. */
  room: RoomId,
  /** The message. */
  seq: Seq,
  /** Whether it should be pinned. */
  on: boolean,
}
  | { "t": "read",
  /** The id of the request. */
  cid: Cid,
  /** Where. */
  room: RoomId,
  /** The last event that was read. */
  seq: Seq,
}
  | { "t": "typing",
  /** Where. */
  room: RoomId,
}
  | { "t": "away",
  /** Whether nobody is there. */
  away: boolean,
}
  | { "t": "watch",
  /** At most 500. */
  people: Array<UserId>,
}
  | { "t": "resume",
  /** The last `seq` that the client has of each room. */
  rooms: RoomSeqs,
}
  | { "t": "ping",
  /** Comes back in `pong`. */
  n: number,
};

/** What a gateway may say. */
export type ServerFrame = { "t": "hello",
  /** Version of the protocol. */
  v: number,
  /** The cluster's id. A client drops what it cached of another cluster. */
  cluster: string,
  /** Grows when the cluster was restored from a backup: a client drops its cache. */
  epoch: number,
  /** The gateway's name. */
  gateway: string,
  /** How often a client should be heard. */
  heartbeat_ms: number,
  /** Bytes of a frame. */
  max_frame: number,
  /** Bytes of a message. */
  max_message: number,
  /** Requests without an answer. */
  max_inflight: number,
  /** How far this gateway has followed the log. */
  head_slot: Slot,
  /** Traces are wanted: of a million messages, how many the client should send with a sampled `traceparent`. Absent: none. */
  trace_ppm?: number,
}
  | { "t": "ready",
  /** Whose session it is. */
  user: Me,
  /** The number of the last event of the own stream that `rooms` contains. */
  useq: Useq,
  /** The rooms that the person is in. */
  rooms: Array<Joined>,
}
  | { "t": "ev",
  /** The room. */
  room: RoomId,
  /** The event. */
  ev: Event,
}
  | { "t": "gap",
  /** The room. */
  room: RoomId,
  /** The first that is left out. */
  from: Seq,
  /** The last that is left out. */
  to: Seq,
}
  | { "t": "live",
  /** The room. */
  room: RoomId,
  /** Up to here. */
  head: Seq,
}
  | { "t": "uev",
  /** Its number. */
  useq: Useq,
  /** A new room. */
  joined?: Joined,
  /** A room that was left. */
  left?: RoomId,
  /** Another device, or this one, has read on. */
  read?: ReadMarker,
  /** The person wishes something else of a room, on this device or another. */
  wishes?: RoomWishes,
  /** The own name, colour, role or password changed: ask `me` again. */
  profile?: boolean,
}
  | { "t": "state",
  /** The message. */
  cid: Cid,
  /** How far. */
  state: SendState,
  /** Where. */
  slot: Slot,
}
  | { "t": "ack",
  /** The message. */
  cid: Cid,
  /** The room. */
  room: RoomId,
  /** Its number in the room. */
  seq: Seq,
  /** Its number among the messages. */
  msg_no: MsgNo,
  /** Where it stands in the log. */
  slot: Slot,
  /** The leader's clock. */
  ts: number,
  /** Whether it had been committed before. */
  dup: boolean,
}
  | { "t": "done",
  /** The request. */
  cid: Cid,
  /** The room. */
  room: RoomId,
  /** Where it stands in the log. */
  slot: Slot,
  /** Whether it had been committed before. */
  dup: boolean,
}
  | { "t": "err",
  /** The `cid` of the request. */
  ref?: Cid,
  /** The word. */
  code: ErrorCode,
  /** For people. */
  message: string,
  /** Whether the same request with the same `cid` may succeed later. */
  temporary: boolean,
  /** When to try again. */
  retry_ms?: number,
}
  | { "t": "lag",
  /** The head of each room. */
  rooms: RoomSeqs,
}
  | { "t": "cluster" } & Cluster
  | { "t": "typing",
  /** The room. */
  room: RoomId,
  /** Who. */
  person: Person,
}
  | { "t": "presence",
  /** In no order. */
  people: Array<PersonPresence>,
}
  | { "t": "pong",
  /** From the `ping`. */
  n: number,
  /** How far this gateway has followed the log. */
  head_slot: Slot,
}
  | { "t": "bye",
  /** Why. */
  reason: ByeReason,
  /** When to reconnect. */
  after_ms: number,
};
