// A gateway and the path to it. Faults are the test's choice: `mangle` sees every frame that
// leaves and says what arrives instead: nothing, two copies, something later.

import type { ClientFrame, Cluster, Me, ServerFrame } from "../../src/generated/frames.ts";
import type { OpenTransport, TransportEvents } from "../../src/socket/transport.ts";
import type { FakeClock } from "./clock.ts";
import type { FakeCluster } from "./cluster.ts";

const LATENCY_MS = 5;
const REPLAY_EVENTS_MAX = 500;
const REPLAY_EVENTS_AFTER_GAP = 50;

export interface Arrival {
  frame: ServerFrame;
  later_ms: number;
}

export interface GatewayOptions {
  clock: FakeClock;
  cluster: FakeCluster;
  user: Me;
  /** By default everything arrives once and in order. */
  mangle?: (frame: ServerFrame) => Arrival[];
}

export class FakeGateway {
  /** Refuses connections while false. */
  reachable = true;
  /** Answers nothing while true: the path is dead and nobody says so. */
  silent = false;
  mangle: (frame: ServerFrame) => Arrival[];
  readonly heard: ClientFrame[] = [];
  connections = 0;
  private readonly options: GatewayOptions;
  private session: Session | undefined;

  constructor(options: GatewayOptions) {
    this.options = options;
    this.mangle = options.mangle ?? ((frame) => [{ frame, later_ms: 0 }]);
  }

  readonly open: OpenTransport = (events) => {
    this.connections += 1;
    const session = new Session(this, this.options, events);
    this.session = session;
    session.begin();
    return { send: (text) => session.hear(text), close: () => session.end() };
  };

  /** Breaks the connection, with what is on the wire. */
  cut(code = 1006, reason = ""): void {
    this.session?.cut(code, reason);
  }

  /** The queue overflowed: it is cleared and the heads are announced. */
  lag(): void {
    this.session?.lag();
  }

  push(frame: ServerFrame): void {
    this.session?.push(frame);
  }

  announce(): void {
    const { cluster } = this.options;
    const view: Cluster = {
      cluster: cluster.name,
      shard: 0,
      quorum: cluster.quorum,
      voters: 3,
      up: cluster.quorum ? 3 : 1,
      epoch: 1,
      replicas: [],
      membership: true,
      demo: false,
      gateway: "test",
    };
    this.session?.push({ t: "cluster", ...view });
  }
}

class Session {
  private over = false;
  private streaming = true;
  private flight = 0;
  private unwatch: () => void = () => {};

  constructor(
    private readonly gateway: FakeGateway,
    private readonly options: GatewayOptions,
    private readonly events: TransportEvents,
  ) {}

  begin(): void {
    const { clock, cluster } = this.options;
    clock.after(LATENCY_MS, () => {
      if (this.over) return;
      if (!this.gateway.reachable) {
        this.cut(1006, "");
        return;
      }
      this.push({
        t: "hello",
        v: 1,
        cluster: cluster.name,
        epoch: cluster.epoch,
        gateway: "test",
        heartbeat_ms: 10_000,
        max_frame: 65_536,
        max_message: 16_384,
        max_inflight: 16,
        head_slot: cluster.slot,
      });
    });
  }

  hear(text: string): void {
    if (this.over) return;
    this.options.clock.after(LATENCY_MS, () => {
      if (this.over || this.gateway.silent) return;
      const frame = JSON.parse(text) as ClientFrame;
      this.gateway.heard.push(frame);
      this.answer(frame);
    });
  }

  push(frame: ServerFrame): void {
    if (this.over || this.gateway.silent) return;
    const flight = this.flight;
    const text = JSON.stringify(frame);
    for (const arrival of this.gateway.mangle(JSON.parse(text) as ServerFrame)) {
      this.options.clock.after(LATENCY_MS + arrival.later_ms, () => {
        if (!this.over && flight === this.flight)
          this.events.received(JSON.stringify(arrival.frame));
      });
    }
  }

  end(): void {
    this.over = true;
    this.unwatch();
  }

  cut(code: number, reason: string): void {
    if (this.over) return;
    this.end();
    this.events.closed(code, reason);
  }

  lag(): void {
    if (this.over) return;
    this.flight += 1;
    this.streaming = false;
    const rooms = Object.fromEntries(
      this.options.cluster.joined().map((room) => [room.id, room.head]),
    );
    this.push({ t: "lag", rooms });
  }

  private answer(frame: ClientFrame): void {
    switch (frame.t) {
      case "start":
        return this.start(frame.rooms);
      case "resume":
        this.streaming = true;
        return this.replayAll(frame.rooms);
      case "send":
        return this.send(frame);
      case "ping":
        return this.push({ t: "pong", n: frame.n, head_slot: this.options.cluster.slot });
      case "edit":
      case "delete":
      case "react":
      case "pin":
      case "read":
      case "create":
      case "join":
      case "leave":
        return this.push({
          t: "done",
          cid: frame.cid,
          room: 1,
          slot: this.options.cluster.slot,
          dup: false,
        });
    }
  }

  private start(rooms: { [room: string]: number }): void {
    const { cluster, user } = this.options;
    this.push({ t: "ready", user, useq: cluster.useq, rooms: cluster.joined() });
    this.unwatch();
    this.unwatch = cluster.watch((room, ev) => {
      if (this.streaming) this.push({ t: "ev", room, ev });
    });
    this.replayAll(rooms);
  }

  private replayAll(rooms: { [room: string]: number }): void {
    for (const { id, head } of this.options.cluster.joined()) {
      const last = rooms[id];
      if (last === undefined && head > REPLAY_EVENTS_AFTER_GAP) {
        this.push({ t: "gap", room: id, from: 1, to: head - REPLAY_EVENTS_AFTER_GAP });
        this.replay(id, head - REPLAY_EVENTS_AFTER_GAP);
      } else {
        this.replay(id, last ?? 0);
      }
    }
  }

  private replay(room: number, last: number): void {
    const events = this.options.cluster.events(room);
    let from = last;
    if (events.length - last > REPLAY_EVENTS_MAX) {
      from = events.length - REPLAY_EVENTS_AFTER_GAP;
      this.push({ t: "gap", room, from: last + 1, to: from });
    }
    for (const ev of events.slice(from)) this.push({ t: "ev", room, ev });
    this.push({ t: "live", room, head: events.length });
  }

  private send(frame: Extract<ClientFrame, { t: "send" }>): void {
    const { cluster, user } = this.options;
    if (!cluster.quorum) {
      this.push({
        t: "err",
        ref: frame.cid,
        code: "no_quorum",
        message: "no quorum",
        temporary: true,
      });
      return;
    }
    if (frame.body === "refuse me") {
      this.push({
        t: "err",
        ref: frame.cid,
        code: "not_member",
        message: "not a member",
        temporary: false,
      });
      return;
    }
    this.push({ t: "state", cid: frame.cid, state: "proposed", slot: cluster.slot + 1 });
    const { event, dup } = cluster.apply(user, frame.cid, frame.room, frame.body);
    const { seq, msg_no, slot, ts } = event;
    this.push({ t: "ack", cid: frame.cid, room: frame.room, seq, msg_no, slot, ts, dup });
  }
}
