// What a person may wish of rooms, each a request of its own: docs/protocol.md 2.2.

import type { NotificationLevel, UserId } from "../generated/frames.ts";
import type { RoomId, Seq } from "./event.ts";
import type { RequestFrame } from "./requests.ts";

type WithoutCid<Frame> = Frame extends unknown ? Omit<Frame, "cid"> : never;

/** A request without its id. */
export type RoomWish = WithoutCid<
  Extract<
    RequestFrame,
    {
      t:
        | "create"
        | "direct"
        | "invite"
        | "remove"
        | "rename"
        | "topic"
        | "archive"
        | "join"
        | "leave"
        | "wish"
        | "take_away";
    }
  >
>;

export abstract class RoomWishes {
  /** Asks until there is an answer; rejects when that is no. */
  protected abstract ask(wish: RoomWish): Promise<RoomId>;

  createRoom(name: string, is_private = false): Promise<RoomId> {
    return this.ask({
      t: "create",
      name,
      ...(is_private && { private: true }),
    });
  }

  /** The room of these people and this one: the one that there is, or a new one. */
  openDirect(people: UserId[]): Promise<RoomId> {
    return this.ask({ t: "direct", people });
  }

  addMember(room: RoomId, user: UserId): Promise<RoomId> {
    return this.ask({ t: "invite", room, user });
  }

  removeMember(room: RoomId, user: UserId): Promise<RoomId> {
    return this.ask({ t: "remove", room, user });
  }

  renameRoom(room: RoomId, name: string): Promise<RoomId> {
    return this.ask({ t: "rename", room, name });
  }

  setTopic(room: RoomId, topic: string): Promise<RoomId> {
    return this.ask({ t: "topic", room, topic });
  }

  archiveRoom(room: RoomId, archived: boolean): Promise<RoomId> {
    return this.ask({ t: "archive", room, archived });
  }

  /** Which of its messages are news to this person, and whether it stands above the others. */
  wish(room: RoomId, level: NotificationLevel, favourite: boolean): Promise<RoomId> {
    return this.ask({ t: "wish", room, level, favourite });
  }

  /** Makes a tombstone of somebody else's message. */
  takeAway(room: RoomId, seq: Seq): Promise<RoomId> {
    return this.ask({ t: "take_away", room, seq });
  }

  joinRoom(room: RoomId): Promise<RoomId> {
    return this.ask({ t: "join", room });
  }

  leaveRoom(room: RoomId): Promise<RoomId> {
    return this.ask({ t: "leave", room });
  }
}
