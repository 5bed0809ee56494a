// The cluster as docs/protocol.md describes it: one sequence per room, `(author, cid)` unique.

import type { Author, Joined } from "../../src/generated/frames.ts";
import { type History, type PageOf, RequestFailed } from "../../src/sync/history.ts";
import type { MessageEvent, RoomEvent, RoomId } from "../../src/sync/event.ts";

export interface Applied {
  event: MessageEvent;
  dup: boolean;
}

export class FakeCluster {
  readonly name = "test-cluster";
  epoch = 1;
  slot = 0;
  useq = 0;
  quorum = true;
  readonly rooms = new Map<RoomId, { name: string; events: RoomEvent[] }>();
  private readonly seen = new Map<string, MessageEvent>();
  private readonly watchers = new Set<(room: RoomId, event: RoomEvent) => void>();

  addRoom(id: RoomId): void {
    this.rooms.set(id, { name: `room-${id}`, events: [] });
  }

  apply(author: Author, cid: string, room: RoomId, body: string): Applied {
    const key = `${author.id}:${cid}`;
    const before = this.seen.get(key);
    if (before !== undefined) return { event: before, dup: true };
    const events = this.events(room);
    this.slot += 1;
    const event: MessageEvent = {
      seq: events.length + 1,
      slot: this.slot,
      ts: this.slot * 1_000,
      author,
      kind: "message",
      msg_no: events.length + 1,
      cid,
      body,
    };
    this.seen.set(key, event);
    events.push(event);
    for (const watcher of this.watchers) watcher(room, event);
    return { event, dup: false };
  }

  watch(watcher: (room: RoomId, event: RoomEvent) => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  events(room: RoomId): RoomEvent[] {
    const found = this.rooms.get(room);
    if (found === undefined) throw new Error(`no room ${room}`);
    return found.events;
  }

  joined(): Joined[] {
    return [...this.rooms].map(([id, room]) => ({
      id,
      name: room.name,
      head: room.events.length,
      members: 2,
      kind: "public",
    }));
  }

  /** `fails` decides for each request whether the network eats it. */
  history(fails: () => boolean): History & { requests: number } {
    const cluster = this;
    return {
      requests: 0,
      async page(room: RoomId, of: PageOf, limit: number) {
        this.requests += 1;
        if (fails()) throw new RequestFailed("internal", "lost", true);
        const all = cluster.events(room);
        const events =
          "after" in of
            ? all.slice(of.after, of.after + limit)
            : all.slice(0, of.before - 1).slice(-limit);
        return { events, head: all.length, slot: cluster.slot };
      },
    };
  }
}
