// How much was missed while the connection was down: for "You are back, caught up 41 messages."

import type { RoomEvent, RoomId } from "./event.ts";

export class CatchUp {
  private readonly behind: Set<RoomId>;
  private missed = 0;

  /** `rooms`: those whose replay has to come to its end first. */
  constructor(rooms: Iterable<RoomId>) {
    this.behind = new Set(rooms);
  }

  /** An event of a replay. What this device has sent itself was not missed. */
  event(room: RoomId, event: RoomEvent, own: boolean): void {
    if (event.kind === "message" && !own && this.behind.has(room)) this.missed += 1;
  }

  gap(room: RoomId, events: number): void {
    if (this.behind.has(room)) this.missed += events;
  }

  /** Returns the sum when the last room is live. */
  live(room: RoomId): number | undefined {
    this.behind.delete(room);
    return this.result;
  }

  get result(): number | undefined {
    return this.behind.size === 0 ? this.missed : undefined;
  }
}
