// The sync engine of one account: what the gateway says becomes rooms, progress and status.
//
// In: frames of the connection, wishes of the person. Out: frames, page requests, and one
// `EngineEvents` call for whatever a view may want to draw again. No DOM, no clock of its own.
// Invariants: C2, C3, C6, C7 (PRODUCT). Tests: test/sync.test.ts, test/sync-property.test.ts

import type { Clock, Random } from "../clock/clock.ts";
import type {
  Cluster,
  ErrorCode,
  Joined,
  Me,
  RoomSeqs,
  ServerFrame,
} from "../generated/frames.ts";
import { makeCid, type RandomBytes } from "../outbox/cid.ts";
import { Outbox } from "../outbox/outbox.ts";
import type { OutboxStorage } from "../outbox/storage.ts";
import type { Tabs } from "../outbox/tabs.ts";
import { Connection, type ConnectionStatus, type Hello, type Start } from "../socket/connection.ts";
import { CLOSE_GOING_AWAY } from "../socket/close-code.ts";
import type { OpenTransport } from "../socket/transport.ts";
import { CatchUp } from "./catch-up.ts";
import type { EphemeralFrame, Whisper } from "./ephemera.ts";
import type { RoomEvent, RoomId, Seq } from "./event.ts";
import type { History } from "./history.ts";
import { ReadMarkers } from "./read-markers.ts";
import { Latency } from "./latency.ts";
import { Requests } from "./requests.ts";
import { RoomSync } from "./room-sync.ts";
import { traceparent } from "./traceparent.ts";
import { type RoomWish, RoomWishes } from "./room-wishes.ts";

/** Used until `hello` announces the gateway's own limit. */
const INFLIGHT_MAX = 16;
const FRAME_BYTES_MAX = 64 * 1024;
const MESSAGE_BYTES_MAX = 16 * 1024;

export interface EngineEvents {
  connection(status: ConnectionStatus): void;
  /** The list of rooms is different. */
  rooms(): void;
  room(room: RoomSync): void;
  outbox(): void;
  cluster(): void;
  /** An event entered a room's log. `live`: it just happened, it is no replay or old page. */
  event(room: RoomSync, event: RoomEvent, live: boolean): void;
  /** All rooms are live again after a reconnect; so many messages were missed. */
  caughtUp(missed: number): void;
  /** The gateway speaks to somebody else, or for another cluster: start from nothing. */
  strangers(): void;
  /** The own name, colour, role or password changed. */
  profile(): void;
  /** Somebody writes, or is there or not. */
  ephemeral(frame: EphemeralFrame): void;
}

export interface EngineOptions {
  user: Me;
  clock: Clock;
  random: Random;
  randomBytes: RandomBytes;
  open: OpenTransport;
  history: History;
  /** The rooms of the person with markers and counts, by a replica that has applied `min_slot`. */
  unread(min_slot: number): Promise<readonly Joined[]>;
  storage: OutboxStorage;
  tabs: Tabs;
  events: EngineEvents;
}

export class Engine extends RoomWishes {
  readonly rooms = new Map<RoomId, RoomSync>();
  readonly outbox: Outbox;
  readonly reads: ReadMarkers;
  /** How long the cluster took for what this page sent. */
  readonly latency = new Latency();
  cluster: Cluster | undefined;
  /** A `send` was refused for want of a quorum, and nothing has been committed since. */
  lacks_quorum = false;
  /** Announced by `hello`. */
  max_frame = FRAME_BYTES_MAX;
  max_message = MESSAGE_BYTES_MAX;

  private readonly options: EngineOptions;
  private readonly connection: Connection;
  private readonly requests: Requests;
  private max_inflight = INFLIGHT_MAX;
  /** Announced by `hello`: of a million messages, so many are traced. */
  private trace_ppm: number | undefined;
  /** The id of the first `hello`: whatever this engine knows is of that cluster. */
  private cluster_id: string | undefined;
  private epoch: number | undefined;
  private useq = 0;
  /** The highest slot seen: no gateway may show us an older state (monotonic reads). */
  private min_slot = 0;
  private focus: RoomId | undefined;
  /** Rooms that were cut off by `lag` and need a `resume` once they are repaired. */
  private readonly lagging = new Set<RoomId>();
  private readonly live = new Set<RoomId>();
  private catch_up: CatchUp | undefined;
  private was_ready = false;

  constructor(options: EngineOptions) {
    super();
    this.options = options;
    const { clock, random, events } = options;
    const link = {
      mayTransmit: () =>
        this.is_ready && this.outbox.in_flight + this.requests.in_flight < this.max_inflight,
      transmit: this.transmit,
    };
    this.connection = new Connection({
      clock,
      random,
      open: options.open,
      greet: (hello) => this.greet(hello),
      received: (frame) => this.received(frame),
      changed: (status) => this.connectionChanged(status),
    });
    this.outbox = new Outbox({
      clock,
      random,
      storage: options.storage,
      tabs: options.tabs,
      makeCid: () => this.cid(),
      changed: () => events.outbox(),
      ...link,
    });
    this.requests = new Requests({ clock, random, ...link });
    this.reads = new ReadMarkers({
      clock,
      own_id: options.user.id,
      tell: (room, seq) => this.requests.make({ t: "read", cid: this.cid(), room, seq }),
      ask: () => options.unread(this.min_slot),
      changed: (id) => {
        const room = this.rooms.get(id);
        if (room !== undefined) events.room(room);
      },
    });
  }

  get status(): ConnectionStatus {
    return this.connection.status;
  }

  start(): void {
    void this.outbox.adopt().catch(() => {
      // A storage that cannot be read has nothing to send; writing to it will tell the person.
    });
    this.connection.start();
  }

  /** Rooms that were known on this device before: shown until the gateway says which there are. */
  remember(rooms: readonly Joined[]): void {
    if (this.was_ready) return;
    for (const room of rooms) this.enter(room);
    this.options.events.rooms();
  }

  stop(): void {
    this.connection.stop();
    this.outbox.close();
    this.requests.close();
    this.reads.close();
  }

  /** After a wake-up, a change of network, or a return to the page. */
  probe(): void {
    this.connection.probe();
    void this.outbox.adopt().catch(() => {});
  }

  send(room: RoomId, body: string, reply_to?: Seq): Promise<void> {
    return this.outbox.enqueue(room, body, reply_to);
  }

  edit(room: RoomId, seq: Seq, body: string): Promise<RoomId> {
    return this.requests.make({ t: "edit", cid: this.cid(), room, seq, body });
  }

  deleteMessage(room: RoomId, seq: Seq): Promise<RoomId> {
    return this.requests.make({ t: "delete", cid: this.cid(), room, seq });
  }

  react(room: RoomId, seq: Seq, emoji: string, on: boolean): Promise<RoomId> {
    return this.requests.make({ t: "react", cid: this.cid(), room, seq, emoji, on });
  }

  pin(room: RoomId, seq: Seq, on: boolean): Promise<RoomId> {
    return this.requests.make({ t: "pin", cid: this.cid(), room, seq, on });
  }

  /** The highest slot seen: what a read must contain. */
  get seen_slot(): number {
    return this.min_slot;
  }

  focusOn(room: RoomId | undefined): void {
    this.focus = room;
  }

  /** Says what may be lost: without a connection it is. */
  whisper(frame: Whisper): void {
    if (this.is_ready) this.connection.send(frame);
  }

  private get is_ready(): boolean {
    return this.status.kind === "ready";
  }

  private readonly transmit = (frame: Parameters<Connection["send"]>[0]): void => {
    if (frame.t === "send") {
      this.latency.sent(frame.cid, this.options.clock.now());
      if (this.trace_ppm !== undefined)
        frame = { ...frame, traceparent: traceparent(frame.cid, this.trace_ppm) };
    }
    this.connection.send(frame);
  };

  protected override ask(wish: RoomWish): Promise<RoomId> {
    return this.requests.make({ ...wish, cid: this.cid() });
  }

  private cid(): string {
    return makeCid(this.options.clock.now(), this.options.randomBytes);
  }

  private greet(hello: Hello): Start | undefined {
    this.cluster_id ??= hello.cluster;
    if (hello.cluster !== this.cluster_id) {
      this.disown("another cluster");
      return undefined;
    }
    if (this.epoch !== undefined && hello.epoch !== this.epoch) this.startOver();
    this.epoch = hello.epoch;
    this.max_inflight = hello.max_inflight;
    this.max_frame = hello.max_frame;
    this.max_message = hello.max_message;
    this.trace_ppm = hello.trace_ppm;
    const { useq, min_slot, focus } = this;
    return {
      t: "start",
      useq,
      min_slot,
      rooms: this.lastSeqs(),
      ...(focus !== undefined && { focus }),
    };
  }

  /** A room of which nothing is known is left out: the gateway then sends its newest events. */
  private lastSeqs(): RoomSeqs {
    const known = [...this.rooms.values()].filter((room) => room.log.last > 0);
    return Object.fromEntries(known.map((room) => [room.id, room.log.last]));
  }

  private received(frame: ServerFrame): void {
    switch (frame.t) {
      case "ready":
        return this.ready(frame.user, frame.useq, frame.rooms);
      case "ev":
        this.sawSlot(frame.ev.slot);
        return this.rooms.get(frame.room)?.event(frame.ev);
      case "gap":
        return this.gap(frame.room, frame.to);
      case "live":
        return this.wentLive(frame.room, frame.head);
      case "uev":
        return this.userEvent(frame);
      case "state":
        if (frame.state === "chosen") this.quorumAnswered();
        this.latency.state(frame.cid, frame.state, frame.slot, this.options.clock.now());
        return this.outbox.progress(frame.cid, frame.state);
      case "ack": {
        this.sawSlot(frame.slot);
        this.quorumAnswered();
        this.latency.acknowledged(frame.cid, frame.slot, frame.dup, this.options.clock.now());
        const room = this.rooms.get(frame.room);
        return this.outbox.acknowledged(frame.cid, frame.seq, room?.log.last ?? Infinity);
      }
      case "done":
        this.sawSlot(frame.slot);
        this.quorumAnswered();
        return this.requests.done(frame.cid, frame.room);
      case "err":
        return this.failed(frame);
      case "lag":
        return this.lagged(frame.rooms);
      case "cluster":
        return this.clusterChanged(frame);
      case "typing":
      case "presence":
        return this.options.events.ephemeral(frame);
      case "hello":
      case "pong":
      case "bye":
        return;
    }
  }

  private ready(user: Me, useq: number, joined: readonly Joined[]): void {
    if (user.id !== this.options.user.id) {
      this.disown("another user");
      return;
    }
    this.useq = Math.max(this.useq, useq);
    this.live.clear();
    this.lagging.clear();
    this.catch_up = this.was_ready ? new CatchUp(joined.map((room) => room.id)) : undefined;
    this.was_ready = true;
    const ids = new Set(joined.map((room) => room.id));
    for (const id of this.rooms.keys()) if (!ids.has(id)) this.rooms.delete(id);
    this.reads.keepOnly(ids);
    for (const room of joined) this.enter(room);
    this.options.events.rooms();
    this.reportCatchUp(this.catch_up?.result);
  }

  private enter(joined: Joined): void {
    this.reads.learn(joined);
    const known = this.rooms.get(joined.id);
    if (known !== undefined) {
      known.describe(joined);
      return;
    }
    const { clock, random, history, events } = this.options;
    const room = new RoomSync(joined, {
      clock,
      random,
      page: async (of, limit) => {
        const page = await history.page(joined.id, of, limit, this.min_slot);
        this.min_slot = Math.max(this.min_slot, page.slot);
        return page;
      },
      applied: (one, event) => this.applied(one, event),
      changed: (one) => {
        this.outbox.passed(one.id, one.log.last);
        events.room(one);
      },
      repaired: (one) => this.repaired(one),
    });
    this.rooms.set(joined.id, room);
  }

  private applied(room: RoomSync, event: RoomEvent): void {
    this.sawSlot(event.slot);
    let own = false;
    if (event.kind === "message" && event.author.id === this.options.user.id) {
      own = this.outbox.has(event.cid);
      this.outbox.echoed(event.cid);
    }
    this.catch_up?.event(room.id, event, own);
    if (event.kind === "renamed") this.options.events.rooms();
    this.options.events.event(room, event, this.live.has(room.id) && event.seq === room.head);
  }

  private gap(id: RoomId, to: number): void {
    const room = this.rooms.get(id);
    if (room === undefined) return;
    // A room that was never loaded misses nothing: its older half simply is not here yet.
    if (room.log.last > 0 && !room.is_system)
      this.catch_up?.gap(id, Math.max(0, to - room.log.last));
    room.gap(to);
  }

  private wentLive(id: RoomId, head: number): void {
    const room = this.rooms.get(id);
    if (room === undefined) return;
    this.live.add(id);
    room.require(head);
    this.reportCatchUp(this.catch_up?.live(id));
  }

  private reportCatchUp(missed: number | undefined): void {
    if (missed === undefined) return;
    this.catch_up = undefined;
    this.options.events.caughtUp(missed);
  }

  private userEvent(frame: Extract<ServerFrame, { t: "uev" }>): void {
    this.useq = Math.max(this.useq, frame.useq);
    if (frame.profile === true) this.options.events.profile();
    if (frame.read !== undefined) return this.reads.told(frame.read.room, frame.read.seq);
    if (frame.wishes !== undefined) this.rooms.get(frame.wishes.room)?.wished(frame.wishes);
    if (frame.joined !== undefined) this.enter(frame.joined);
    if (frame.left !== undefined) {
      this.rooms.delete(frame.left);
      this.reads.keepOnly(new Set(this.rooms.keys()));
      this.live.delete(frame.left);
      this.lagging.delete(frame.left);
    }
    this.options.events.rooms();
  }

  private failed(frame: Extract<ServerFrame, { t: "err" }>): void {
    if (frame.code === "no_quorum") {
      this.lacks_quorum = true;
      this.options.events.cluster();
    }
    if (frame.ref === undefined) return;
    if (!frame.temporary) this.latency.forget(frame.ref);
    // A lost session is no verdict on the message: the socket closes with 4501, the outbox stays.
    if (frame.temporary || frame.code === "unauthenticated") {
      if (!this.requests.postponed(frame.ref, frame.retry_ms))
        this.outbox.postponed(frame.ref, frame.retry_ms);
    } else {
      this.refused(frame.ref, frame.code, frame.message);
    }
  }

  private refused(cid: string, code: ErrorCode, message: string): void {
    if (!this.requests.refused(cid, code, message)) this.outbox.refused(cid, { code, message });
  }

  private lagged(heads: Readonly<Record<string, number>>): void {
    for (const [key, head] of Object.entries(heads)) {
      const room = this.rooms.get(Number(key));
      if (room === undefined) continue;
      this.lagging.add(room.id);
      this.live.delete(room.id);
      room.require(head);
    }
    // The gateway's queue was cleared, and with it perhaps the answers to what is in flight.
    this.outbox.linkLost();
    this.requests.linkLost();
    this.hurry();
    this.resumeIfRepaired();
  }

  private repaired(room: RoomSync): void {
    this.options.events.room(room);
    this.resumeIfRepaired();
  }

  private resumeIfRepaired(): void {
    const rooms = [...this.lagging].flatMap((id) => this.rooms.get(id) ?? []);
    if (rooms.length === 0 || !rooms.every((room) => room.isComplete)) return;
    this.lagging.clear();
    this.transmit({ t: "resume", rooms: this.lastSeqs() });
  }

  private clusterChanged(cluster: Cluster): void {
    const returned = cluster.quorum && (this.cluster?.quorum === false || this.lacks_quorum);
    this.cluster = cluster;
    if (cluster.quorum) this.lacks_quorum = false;
    this.options.events.cluster();
    if (returned) this.hurry();
  }

  private quorumAnswered(): void {
    if (!this.lacks_quorum) return;
    this.lacks_quorum = false;
    this.options.events.cluster();
    this.hurry();
  }

  private hurry(): void {
    this.outbox.hurry();
    this.requests.hurry();
  }

  private connectionChanged(status: ConnectionStatus): void {
    if (status.kind === "ready") {
      this.hurry();
    } else {
      this.live.clear();
      this.lagging.clear();
      this.outbox.linkLost();
      this.requests.linkLost();
      for (const room of this.rooms.values()) room.forgetRepair();
    }
    this.options.events.connection(status);
  }

  /** Restored from a backup that may lack a tail: a reused `seq` is not the message it was. */
  private startOver(): void {
    this.rooms.clear();
    this.reads.keepOnly(new Set());
    this.min_slot = 0;
    this.useq = 0;
    this.outbox.reopen();
    this.options.events.rooms();
  }

  private disown(reason: string): void {
    this.connection.stop(CLOSE_GOING_AWAY, reason);
    this.options.events.strangers();
  }

  private sawSlot(slot: number): void {
    this.min_slot = Math.max(this.min_slot, slot);
  }
}
