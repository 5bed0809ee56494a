// Generated from services/gateway/src/frames.rs; do not edit.
// UPDATE=1 cargo test -p gateway typescript

import type {
  AccountRole,
  Cid,
  ErrorCode,
  Event,
  Joined,
  Me,
  NodeId,
  Person,
  RoomId,
  RoomSummary,
  Seq,
  Slot,
  UserId,
} from "./frames.ts";

/** What a person typed as a password. Not shown by `Debug`: it must not get into a log. */
export type Password = string;

/** Answers `GET /api/v1/slots/{slot}`: where in the cluster an entry of the log is. */
export type SlotAnswer = {
  /** Which. */
  slot: Slot,
  /** What each replica has of it, by their numbers. */
  copies: Array<SlotCopy>,
};

/** What one replica has of a slot. */
export type SlotCopy = {
  /** Its number. */
  node: NodeId,
  /** Its name for people. */
  name: string,
  /** Whether it has the entry. */
  state: CopyState,
  /** The ballot under which it was accepted: `round.node`. */
  ballot?: string,
  /** Whether its state machine has applied the slot. */
  applied: boolean,
};

/** Whether a replica has an entry of the log. */
export type CopyState = "here" | "compacted" | "missing" | "silent";

/** `POST /api/v1/demo/{node}`: breaks a replica on purpose, in a demo, as an owner or admin. */
export type BreakReplica = {
  /** How. */
  fault: DemoFault,
};

/** How a replica is broken. */
export type DemoFault = "kill" | "pause" | "cut_off";

/** `POST /api/v1/sign-up`. */
export type SignUp = {
  /** The id of the request. */
  cid: Cid,
  /** The wished name. */
  name: string,
  /** 32 to 128 random characters, made with the `cid` and kept until the answer: a retry with the same two gets the same session. */
  secret?: string,
  /** 8 characters or more. Without one the account is lost with its sessions, until one is set. */
  password?: Password,
  /** The secret of an invitation. */
  invitation?: string,
};

/** `POST /api/v1/sign-in`. */
export type SignIn = {
  /** The id of the request. */
  cid: Cid,
  /** Whose account. */
  name: string,
  /** Its password. */
  password: Password,
  /** As in `SignUp`. */
  secret?: string,
};

/** `PATCH /api/v1/me`: what is left out stays as it is. */
export type ChangeMe = {
  /** The id of the request. */
  cid: Cid,
  /** Another name. */
  name?: string,
  /** Another colour, 0 to 12. */
  colour?: number,
};

/** `POST /api/v1/me/password`. */
export type ChangePassword = {
  /** The id of the request. */
  cid: Cid,
  /** The one that is set, if one is. */
  current?: Password,
  /** The one to set. */
  password: Password,
};

/** `POST /api/v1/me/deactivate`. */
export type Deactivate = {
  /** The id of the request. */
  cid: Cid,
  /** The one that is set, if one is. */
  current?: Password,
};

/** A session in the list of its owner. */
export type SessionEntry = {
  /** What it is called in `DELETE /api/v1/me/sessions/{id}`; of no use to sign in. */
  id: string,
  /** When it began: the leader's clock in milliseconds since 1970. */
  created_ms: number,
  /** What the browser said that it was, such as `Firefox, Linux`; may be empty. */
  device: string,
  /** Whether it is the one that asks. */
  current: boolean,
};

/** Answers `GET /api/v1/me/sessions`. */
export type SessionsAnswer = {
  /** The newest first. */
  sessions: Array<SessionEntry>,
};

/** A person in the directory. */
export type PersonEntry = {
  /** The account. */
  id: UserId,
  /** The name at present. */
  name: string,
  /** What the account may do. */
  role: AccountRole,
  /** As in `Me`. */
  colour: number,
  /** Whether the account can be used. */
  active: boolean,
};

/** Answers `GET /api/v1/people`. */
export type PeopleAnswer = {
  /** By number. */
  people: Array<PersonEntry>,
};

/** `PATCH /api/v1/people/{id}`: one of the two. */
export type ChangePerson = {
  /** The id of the request. */
  cid: Cid,
  /** Another role. */
  role?: AccountRole,
  /** Deactivate the account, or make it active again. */
  active?: boolean,
};

/** `POST /api/v1/people/{id}/password`: for somebody who forgot it. */
export type ResetPassword = {
  /** The id of the request. */
  cid: Cid,
  /** The one to set, which the caller hands over. */
  password: Password,
};

/** Who may sign up. */
export type SignUpMode = "open" | "invitation" | "closed";

/** Answers `GET /api/v1/settings`. */
export type SettingsAnswer = {
  /** Who may sign up. */
  sign_up: SignUpMode,
  /** There is an account, so the next one is not the owner. */
  has_accounts: boolean,
};

/** `PATCH /api/v1/settings`. */
export type ChangeSettings = {
  /** The id of the request. */
  cid: Cid,
  /** Who may sign up. */
  sign_up: SignUpMode,
};

/** `POST /api/v1/invitations`. */
export type CreateInvitation = {
  /** The id of the request. */
  cid: Cid,
  /** 32 to 128 random characters, made by the client, which alone knows them: the link is `#/invitation/SECRET`. */
  secret: string,
  /** How many accounts may be made with it, 1 to 1000. */
  uses: number,
  /** What they become: member or guest. */
  role: AccountRole,
  /** A room that they enter, in which the caller is. */
  room?: RoomId,
};

/** Answers `POST /api/v1/invitations`. */
export type InvitationAnswer = {
  /** What it is called in `DELETE /api/v1/invitations/{id}`. */
  id: number,
};

/** An invitation that can be used. */
export type InvitationEntry = {
  /** Its number. */
  id: number,
  /** Who made it. */
  created_by: string,
  /** When: the leader's clock in milliseconds since 1970. */
  created_ms: number,
  /** How many accounts may still be made with it. */
  uses_left: number,
  /** What they become. */
  role: AccountRole,
  /** The room that they enter. */
  room?: RoomId,
};

/** Answers `GET /api/v1/invitations`. */
export type InvitationsAnswer = {
  /** The newest first. */
  invitations: Array<InvitationEntry>,
};

/** Answers `sign-up`, `sign-in` and `me`. */
export type MeAnswer = {
  /** Whose session it is. */
  user: Me,
};

/** Answers `GET /api/v1/rooms`. */
export type RoomsAnswer = {
  /** By name. */
  rooms: Array<RoomSummary>,
};

/** Answers `GET /api/v1/rooms/{room}/events`. */
export type EventsAnswer = {
  /** Ascending, without a hole. */
  events: Array<Event>,
  /** The room's highest `seq`. */
  head: Seq,
  /** Where in the log that was so. Whoever sends it as `min_slot` from now on is never told a lower head, by no gateway. */
  slot: Slot,
};

/** Answers `GET /api/v1/rooms/{room}/members`. */
export type MembersAnswer = {
  /** Who is in the room. */
  members: Array<Person>,
};

/** Answers `GET /api/v1/rooms/{room}/pins`, `…/messages/{seq}/replies` and `…/messages/{seq}/versions`. */
export type MessagesAnswer = {
  /** Pins: the latest first. Replies and versions: ascending. */
  events: Array<Event>,
  /** Whether there are more. */
  more: boolean,
};

/** Answers `GET /api/v1/unread`. */
export type UnreadAnswer = {
  /** The rooms that the person is in, as `ready` has them. */
  rooms: Array<Joined>,
};

/** A part of a text that was found. */
export type SnippetPiece = {
  /** The part. */
  text: string,
  /** Whether it is what was sought. */
  hit?: boolean,
};

/** A message that was found. */
export type SearchHit = {
  /** The room. */
  room: RoomId,
  /** Its name. */
  room_name: string,
  /** The message. */
  seq: Seq,
  /** The leader's clock in milliseconds since 1970. */
  ts: number,
  /** Who wrote it. */
  author: Person,
  /** What surrounds the words in its text, in order. */
  snippet: Array<SnippetPiece>,
};

/** Answers `GET /api/v1/search`. */
export type SearchAnswer = {
  /** The newest first. */
  hits: Array<SearchHit>,
  /** `cursor` of the next page, if there is one. */
  next?: number,
  /** Whether the index is behind: the latest messages may be missing. */
  lags: boolean,
};

/** What went wrong, over HTTP. */
export type ErrorBody = {
  /** The word. */
  code: ErrorCode,
  /** For people. */
  message: string,
  /** Whether the same request may succeed later. */
  temporary: boolean,
  /** When to try again. */
  retry_ms?: number,
};

/** The body of an HTTP error. */
export type ErrorAnswer = {
  /** What went wrong. */
  error: ErrorBody,
};

/** Answers `/health/live` and `/health/ready`. */
export type Health = {
  /** `ok` or `unavailable`. */
  status: string,
  /** Why not. */
  reason?: string,
};
