// How far the person has read each room: the replicated marker, ahead of it what was read on this
// device and is not told yet. Markers only move forward and merge by max, so that the order in
// which devices and gateways tell of them does not matter.
//
// In: `ready`, `uev`, what is seen on the screen. Out: `read` requests, at most one per room and
// second, and questions for counts that only the gateway can answer. No DOM.
// Tests: test/read-markers.test.ts, test/unread-property.test.ts

import type { Cancel, Clock } from "../clock/clock.ts";
import type { Joined } from "../generated/frames.ts";
import type { RoomId, Seq } from "./event.ts";
import { MARK_MS_MIN } from "./limits.ts";
import type { RoomSync } from "./room-sync.ts";
import { type Counted, type Unread, unread } from "./unread.ts";

interface Marker {
  /** The furthest of what is told and what was read here. */
  read: Seq;
  /** What the cluster has told of. */
  told: Seq;
  counted?: Counted;
  /** Told to the gateway, the answer is on its way. */
  telling: boolean;
  not_before_ms: number;
}

export interface ReadMarkersOptions {
  clock: Clock;
  own_id: number;
  /** Resolves when the marker is committed; rejects when it is refused. */
  tell(room: RoomId, seq: Seq): Promise<unknown>;
  /** Asks a gateway for the rooms with their markers and counts. */
  ask(): Promise<readonly Joined[]>;
  /** The marker of a room, or what is known of its counts, is different. */
  changed(room: RoomId): void;
}

export class ReadMarkers {
  private readonly options: ReadMarkersOptions;
  private readonly markers = new Map<RoomId, Marker>();
  private cancelTell: Cancel | undefined;
  private cancelAsk: Cancel | undefined;

  constructor(options: ReadMarkersOptions) {
    this.options = options;
  }

  /** Up to where the person has read. */
  of(room: RoomId): Seq {
    return this.markers.get(room)?.read ?? 0;
  }

  /** A gateway says how it is: in `ready`, when a room was joined, or when it was asked. */
  learn(joined: Joined): void {
    const told = joined.read ?? 0;
    const counted: Counted = {
      read: told,
      head: joined.head,
      count: joined.unread ?? 0,
      more: joined.unread_more ?? false,
      mentions: joined.mentions ?? 0,
    };
    const known = this.markers.get(joined.id);
    if (known === undefined) {
      this.markers.set(joined.id, {
        read: told,
        told,
        counted,
        telling: false,
        not_before_ms: 0,
      });
    } else {
      known.told = Math.max(known.told, told);
      known.read = Math.max(known.read, told);
      // An answer may be older than what was told meanwhile.
      if (counted.read === known.read) known.counted = counted;
    }
    this.options.changed(joined.id);
    this.pump();
  }

  /** Another device, or this one, has moved the marker. */
  told(room: RoomId, seq: Seq): void {
    const known = this.markers.get(room);
    if (known === undefined) return;
    known.told = Math.max(known.told, seq);
    if (seq <= known.read) return;
    known.read = seq;
    this.options.changed(room);
  }

  /** The person has seen everything up to here. */
  mark(room: RoomId, seq: Seq): void {
    const known = this.markers.get(room);
    if (known === undefined || seq <= known.read) return;
    known.read = seq;
    this.options.changed(room);
    this.pump();
  }

  /** The rooms that the person is in. */
  keepOnly(rooms: ReadonlySet<RoomId>): void {
    for (const room of this.markers.keys()) if (!rooms.has(room)) this.markers.delete(room);
  }

  /** What is unread of a room. While nobody knows, what is known of it is shown as "or more". */
  unread(room: RoomSync): Unread {
    if (room.is_system) return { count: 0, more: false, mentions: 0 };
    const marker = this.markers.get(room.id);
    const { pieces } = room.log;
    const own_id = this.options.own_id;
    const read = marker?.read ?? 0;
    const found = unread({ pieces, head: room.head, read, own_id, counted: marker?.counted });
    // What is said between few people is meant for each of them.
    if (found !== undefined)
      return room.kind === "direct" ? { ...found, mentions: found.count } : found;
    this.askSoon();
    const counted = marker?.counted;
    return { count: counted?.count ?? 0, more: true, mentions: counted?.mentions ?? 0 };
  }

  /** The page goes away: what was read is told at once. */
  flush(): void {
    for (const marker of this.markers.values()) marker.not_before_ms = 0;
    this.pump();
  }

  close(): void {
    this.cancelTell?.();
    this.cancelAsk?.();
  }

  private pump(): void {
    const { clock } = this.options;
    this.cancelTell?.();
    this.cancelTell = undefined;
    const now_ms = clock.now();
    let next_ms = Infinity;
    for (const [room, marker] of this.markers) {
      if (marker.read <= marker.told || marker.telling) continue;
      if (marker.not_before_ms > now_ms) next_ms = Math.min(next_ms, marker.not_before_ms);
      else this.tellOf(room, marker);
    }
    if (next_ms < Infinity)
      this.cancelTell = clock.after(next_ms - now_ms, () => this.pump());
  }

  private tellOf(room: RoomId, marker: Marker): void {
    const seq = marker.read;
    marker.telling = true;
    marker.not_before_ms = this.options.clock.now() + MARK_MS_MIN;
    this.options
      .tell(room, seq)
      // Refused for good: the room was left, or is another one now. It is not said again.
      .catch(() => undefined)
      .then(() => {
        marker.telling = false;
        marker.told = Math.max(marker.told, seq);
        this.pump();
      });
  }

  private askSoon(): void {
    if (this.cancelAsk !== undefined) return;
    this.cancelAsk = this.options.clock.after(MARK_MS_MIN, () => {
      void this.options
        .ask()
        .then((rooms) => {
          this.cancelAsk = undefined;
          for (const joined of rooms) if (this.markers.has(joined.id)) this.learn(joined);
        })
        // Not reachable: `ready` brings the counts of a new connection.
        .catch(() => {
          this.cancelAsk = undefined;
        });
    });
  }
}
