// Where unsent messages survive a reload, a crash and a night without a quorum.

import type { ErrorCode } from "../generated/frames.ts";
import type { Cid, RoomId, Seq } from "../sync/event.ts";

export interface Failure {
  code: ErrorCode;
  message: string;
}

export interface StoredMessage {
  cid: Cid;
  room: RoomId;
  body: string;
  /** The message that it answers. */
  reply_to?: Seq;
  written_ms: number;
  /** The tab that sends it. */
  owner: string;
  /** Set when the cluster refused it for good; waits for the person's decision. */
  failure?: Failure;
}

/** One account's messages, in the order in which they were written. */
export interface OutboxStorage {
  /** Resolves when the message is durable. */
  add(message: StoredMessage): Promise<void>;
  /** Replaces the message with the same `cid`, if it is still there. */
  replace(message: StoredMessage): Promise<void>;
  remove(cid: Cid): Promise<void>;
  load(): Promise<StoredMessage[]>;
  removeAll(): Promise<void>;
}
