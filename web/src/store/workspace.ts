// The engine of the signed-in person, as signals that a view can draw.

import { batch, computed, type ReadonlySignal, signal, type Signal } from "@preact/signals";

import { browserClock, type Cancel } from "../clock/clock.ts";
import type { Cluster, Me, PersonEntry, UserId } from "../generated/frames.ts";
import { people } from "../http/accounts.ts";
import { history, me, unread } from "../http/api.ts";
import { browserRandomBytes } from "../outbox/cid.ts";
import { indexedDbStorage } from "../outbox/indexeddb.ts";
import type { OutboxEntry } from "../outbox/outbox.ts";
import type { Tabs } from "../outbox/tabs.ts";
import { CLOSE_UNAUTHENTICATED } from "../socket/close-code.ts";
import type { ConnectionStatus } from "../socket/connection.ts";
import { webSocketTransport } from "../socket/websocket.ts";
import { Engine } from "../sync/engine.ts";
import type { RoomEvent, RoomId, Seq } from "../sync/event.ts";
import type { RoomSync } from "../sync/room-sync.ts";
import type { Unread } from "../sync/unread.ts";
import { DeviceMemory } from "./device.ts";
import { lastRooms, rememberRooms } from "./last-seen.ts";
import type { LiveEphemera } from "./ephemera.ts";
import { forgetPeople, learnPeople } from "./people.ts";
import { isUnread, notified } from "./unread.ts";

/** A shorter interruption is not worth a word. */
const RECONNECTING_AFTER_MS = 2_000;
const BACK_SHOWN_MS = 6_000;

export type Banner =
  | { kind: "stopped"; reason: string }
  | { kind: "reconnecting" }
  | { kind: "no-quorum"; cluster?: Cluster; waiting: number }
  | { kind: "back"; missed: number };

export interface WorkspaceEvents {
  /** The session is no more: expired, revoked, or another account took its place. */
  ended(): void;
  /** A message that a person should hear of. */
  arrived(room: RoomSync, event: RoomEvent): void;
}

export class Workspace {
  readonly user: Me;
  /** The same person as of now: name, colour and role may change. */
  readonly me: Signal<Me>;
  readonly engine: Engine;
  readonly memory: DeviceMemory;
  /** The directory; empty until somebody has answered. */
  readonly people = signal<readonly PersonEntry[]>([]);
  readonly rooms = signal<readonly RoomSync[]>([]);
  readonly outbox = signal<readonly OutboxEntry[]>([]);
  readonly cluster = signal<Cluster | undefined>(undefined);
  readonly status = signal<ConnectionStatus>({ kind: "connecting" });
  /** False until the first `ready`: the list of rooms is not empty, it is unknown. */
  readonly is_loaded = signal(false);
  readonly banner: ReadonlySignal<Banner | undefined>;
  /** Who writes, who is there; loaded after the first connection. */
  readonly ephemera = signal<LiveEphemera | undefined>(undefined);

  private readonly revisions = new Map<RoomId, Signal<number>>();
  private readonly lacks_quorum = signal(false);
  private readonly is_away = signal(false);
  private readonly missed = signal<number | undefined>(undefined);
  /** There was a connection since the page began. */
  private was_ready = false;
  private cancelAway: Cancel | undefined;
  private cancelBack: Cancel | undefined;
  private readonly listening = new AbortController();

  constructor(user: Me, cluster: Cluster | undefined, tabs: Tabs, events: WorkspaceEvents) {
    this.user = user;
    forgetPeople();
    learnPeople([user]);
    this.me = signal(user);
    this.cluster.value = cluster;
    this.memory = new DeviceMemory(String(user.id));
    this.banner = computed(() => this.currentBanner());
    this.engine = new Engine({
      user,
      clock: browserClock,
      random: Math.random,
      randomBytes: browserRandomBytes,
      open: webSocketTransport(
        `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`,
      ),
      history,
      unread,
      storage: indexedDbStorage(String(user.id)),
      tabs,
      events: {
        connection: (status) => this.connectionChanged(status, events),
        rooms: () => this.roomsChanged(),
        room: (room) => this.touch(room.id),
        outbox: () => {
          this.outbox.value = [...this.engine.outbox.entries].map((entry) => ({ ...entry }));
        },
        cluster: () => {
          this.cluster.value = this.engine.cluster ?? this.cluster.value;
          this.lacks_quorum.value = this.engine.lacks_quorum;
        },
        event: (room, event, live) => {
          if (!room.is_system) learnPeople([event.author]);
          if (!live) return;
          this.ephemera.peek()?.spoke(room.id, event.author.id);
          events.arrived(room, event);
        },
        caughtUp: (missed) => this.caughtUp(missed),
        strangers: () => events.ended(),
        profile: () => void this.askMe(),
        ephemeral: (frame) => this.ephemera.peek()?.received(frame),
      },
    });
  }

  start(): void {
    this.engine.start();
    void this.askPeople();
    const { signal: until } = this.listening;
    addEventListener("online", () => this.engine.probe(), { signal: until });
    addEventListener("pageshow", () => this.engine.probe(), { signal: until });
    document.addEventListener(
      "visibilitychange",
      () => {
        if (document.visibilityState === "visible") this.engine.probe();
      },
      { signal: until },
    );
    addEventListener("pagehide", () => this.engine.reads.flush(), { signal: until });
  }

  /** Begins without an answer from any gateway: with what this device knows. */
  startOffline(): void {
    this.engine.remember(lastRooms(this.user));
    this.is_loaded.value = true;
    this.start();
  }

  stop(): void {
    this.listening.abort();
    this.cancelAway?.();
    this.cancelBack?.();
    this.engine.stop();
  }

  /** Name, colour, role or password changed, here or on another device. */
  async askMe(): Promise<void> {
    try {
      this.me.value = await me();
    } catch {
      // The old ones stay until the next change, or until the page is loaded again.
    }
  }

  /** Everybody that this person may know of. */
  async askPeople(): Promise<void> {
    try {
      this.people.value = await people();
    } catch {
      // As with the own account.
    }
  }

  /** A direct room is called by the others in it, as they are called now. */
  nameOf(room: RoomSync): string {
    if (room.kind !== "direct") return room.name;
    const others = room.people.filter((id) => id !== this.user.id);
    const names = others.map((id) => this.people.value.find((one) => one.id === id)?.name);
    return names.every((name) => name !== undefined) ? names.join(", ") : room.name;
  }

  /** The one with whom a direct room is shared; of several none. */
  otherIn(room: RoomSync): UserId | undefined {
    const others = room.people.filter((id) => id !== this.user.id);
    return room.kind === "direct" && others.length === 1 ? others[0] : undefined;
  }

  /** The name in a sentence: `#general`, or the people of a direct room. */
  titleOf(room: RoomSync): string {
    return room.kind === "direct" ? this.nameOf(room) : `#${room.name}`;
  }

  colourOf(user: number): number {
    return this.people.value.find((one) => one.id === user)?.colour ?? 0;
  }

  /** Who made the room may as well, which the gateway knows and the page does not: it asks. */
  mayManage(room: RoomSync): boolean {
    const made_it = room.log.pieces.some(
      (piece) =>
        piece.kind === "loaded" &&
        piece.events.some(
          (event) => event.kind === "created" && event.author.id === this.user.id,
        ),
    );
    return made_it || this.may_moderate;
  }

  /** May take away what others wrote. */
  get may_moderate(): boolean {
    const { role } = this.me.value;
    return role === "owner" || role === "admin" || role === "moderator";
  }

  /** May change accounts and, in a demo, break replicas. */
  get may_administer(): boolean {
    const { role } = this.me.value;
    return role === "owner" || role === "admin";
  }

  /** Signing up made a new account: what lies here under its number is of a former cluster. */
  async forget(): Promise<void> {
    this.memory.clear();
    await this.engine.outbox.discard();
  }

  /** The answer to a wish may come before the news that the room is ours: this waits for both. */
  async entered(wish: Promise<RoomId>): Promise<RoomId> {
    const id = await wish;
    await new Promise<void>((resolve) => {
      const unsubscribe = this.rooms.subscribe((rooms) => {
        if (!rooms.some((room) => room.id === id)) return;
        resolve();
        // The first call comes before there is anything to unsubscribe from.
        queueMicrotask(() => unsubscribe());
      });
    });
    return id;
  }

  /** Reading this in a view draws the view again when the room changes. */
  revision(room: RoomId): number {
    return this.revisionSignal(room).value;
  }

  /** What others wrote behind the person's read marker, as far as the person wants to know. */
  unread(room: RoomSync): Unread {
    this.revision(room.id);
    return notified(this.engine.reads.unread(room), room.level);
  }

  isUnread(room: RoomSync): boolean {
    return isUnread(this.unread(room));
  }

  /** Up to where the person has read, on any device. */
  readSeq(room: RoomSync): Seq {
    return this.engine.reads.of(room.id);
  }

  markRead(room: RoomSync): void {
    if (!room.is_system) this.engine.reads.mark(room.id, room.log.last);
  }

  private currentBanner(): Banner | undefined {
    const status = this.status.value;
    if (status.kind === "stopped")
      return { kind: "stopped", reason: status.reason || String(status.code) };
    if (this.is_away.value) return { kind: "reconnecting" };
    const cluster = this.cluster.value;
    const waiting = this.outbox.value.filter(
      (one) => one.progress !== "failed" && one.seq === undefined,
    ).length;
    if (cluster?.quorum === false) return { kind: "no-quorum", cluster, waiting };
    if (this.lacks_quorum.value) return { kind: "no-quorum", waiting };
    const missed = this.missed.value;
    return missed === undefined ? undefined : { kind: "back", missed };
  }

  private connectionChanged(status: ConnectionStatus, events: WorkspaceEvents): void {
    const was_ready = this.was_ready;
    batch(() => {
      this.status.value = status;
      if (status.kind === "ready") {
        this.was_ready = true;
        this.is_loaded.value = true;
        this.cancelAway?.();
        this.cancelAway = undefined;
        // After the very first connection nothing is caught up, so nothing else ends the banner.
        if (!was_ready) {
          this.is_away.value = false;
          void this.loadEphemera();
        }
        this.ephemera.peek()?.connected();
      } else {
        this.ephemera.peek()?.disconnected();
        this.cancelAway ??= browserClock.after(RECONNECTING_AFTER_MS, () => {
          this.is_away.value = true;
        });
      }
    });
    if (status.kind === "stopped" && status.code === CLOSE_UNAUTHENTICATED) events.ended();
  }

  private async loadEphemera(): Promise<void> {
    const { signal: until } = this.listening;
    const { LiveEphemera } = await import("./ephemera.ts");
    if (!until.aborted) this.ephemera.value = new LiveEphemera(this, until);
  }

  private caughtUp(missed: number): void {
    if (!this.is_away.value && missed === 0) return;
    this.is_away.value = false;
    this.missed.value = missed;
    this.cancelBack?.();
    this.cancelBack = browserClock.after(BACK_SHOWN_MS, () => {
      this.missed.value = undefined;
    });
  }

  private roomsChanged(): void {
    const rooms = [...this.engine.rooms.values()].sort(inOrder);
    batch(() => {
      for (const room of rooms) this.touch(room.id);
      this.rooms.value = rooms;
    });
    if (this.was_ready)
      rememberRooms(
        this.user,
        rooms.map((room) => ({
          id: room.id,
          name: room.name,
          head: room.head,
          members: room.members,
          system: room.is_system,
          kind: room.kind,
          topic: room.topic,
          archived: room.archived,
          people: [...room.people],
          level: room.level,
          favourite: room.favourite,
        })),
      );
    const known = new Set(this.people.value.map((one) => one.id));
    if (rooms.some((room) => room.people.some((id) => !known.has(id)))) void this.askPeople();
  }

  private touch(room: RoomId): void {
    this.revisionSignal(room).value += 1;
  }

  private revisionSignal(room: RoomId): Signal<number> {
    let found = this.revisions.get(room);
    if (found === undefined) {
      found = signal(0);
      this.revisions.set(room, found);
    }
    return found;
  }
}

/** By name; favourites first, direct rooms below the others, the room of the cluster last. */
function inOrder(a: RoomSync, b: RoomSync): number {
  const rank = (room: RoomSync) =>
    room.favourite ? 0 : room.is_system ? 3 : room.kind === "direct" ? 2 : 1;
  return rank(a) - rank(b) || a.name.localeCompare(b.name);
}
