// One connection to whichever gateway answers: opened, kept alive, given up and opened again.
//
// In: socket events, time, `probe` on wake-up. Out: frames, and a status for the banner.
// It knows the shape of the handshake and of the heartbeat, nothing about rooms or messages.
// Tests: test/connection.test.ts

import type { Cancel, Clock, Random } from "../clock/clock.ts";
import type { ClientFrame, ServerFrame } from "../generated/frames.ts";
import { backoffMs } from "./backoff.ts";
import { CLOSE_BAD_REQUEST, CLOSE_GOING_AWAY, CLOSE_IDLE, isFinal } from "./close-code.ts";
import type { OpenTransport, Transport } from "./transport.ts";

/** A gateway or a path that is silent for so long is dead, whatever the socket says. */
export const SILENCE_MS_MAX = 35_000;

/** From the attempt to `ready`. The gateway may wait 2 s for `min_slot`. */
export const HANDSHAKE_MS_MAX = 15_000;

/** After a wake-up the old socket has so long to prove that it is alive. */
export const PROBE_MS_MAX = 4_000;

/** Until `hello` announces the gateway's own. */
const HEARTBEAT_MS = 10_000;

/** A gateway that drains may spread its clients over so long, not longer. */
const DRAIN_MS_MAX = 30_000;

const PROTOCOL_VERSION = 1;

export type Hello = Extract<ServerFrame, { t: "hello" }>;
export type Start = Extract<ClientFrame, { t: "start" }>;

export type ConnectionStatus =
  | { kind: "stopped"; code: number; reason: string }
  | { kind: "waiting" }
  | { kind: "connecting" }
  | { kind: "ready" };

export interface ConnectionOptions {
  clock: Clock;
  random: Random;
  open: OpenTransport;
  /** The frame that answers `hello`, or nothing when this client must not go on. */
  greet(hello: Hello): Start | undefined;
  received(frame: ServerFrame): void;
  changed(status: ConnectionStatus): void;
}

export class Connection {
  status: ConnectionStatus = { kind: "waiting" };

  private readonly options: ConnectionOptions;
  private transport: Transport | undefined;
  /** Attempts since the last `ready`. */
  private attempt = 0;
  private heartbeat_ms = HEARTBEAT_MS;
  private heard_ms = 0;
  private frames_heard = 0;
  private ping_number = 0;
  /** When a gateway that said `bye` wants to see us again. */
  private return_at_ms: number | undefined;
  private cancelRetry: Cancel | undefined;
  private cancelHeartbeat: Cancel | undefined;
  private cancelDeadline: Cancel | undefined;
  private cancelReturn: Cancel | undefined;

  constructor(options: ConnectionOptions) {
    this.options = options;
  }

  start(): void {
    this.connect();
  }

  /** For good: sign-out, or the page goes away. */
  stop(code = CLOSE_GOING_AWAY, reason = ""): void {
    this.drop(code, reason);
    this.cancelRetry?.();
    this.become({ kind: "stopped", code, reason });
  }

  send(frame: ClientFrame): void {
    this.transport?.send(JSON.stringify(frame));
  }

  /** The machine woke up, the network came back or the page is looked at again: find out now. */
  probe(): void {
    switch (this.status.kind) {
      case "waiting":
        this.connect();
        return;
      case "ready":
        this.ping();
        this.expectFrame(PROBE_MS_MAX);
        return;
      case "connecting":
      case "stopped":
        return;
    }
  }

  private connect(): void {
    this.cancelRetry?.();
    this.return_at_ms = undefined;
    this.heartbeat_ms = HEARTBEAT_MS;
    this.heard_ms = this.options.clock.now();
    // Each transport speaks only for itself: a late event of an old one must not be taken for
    // the new one's.
    let own: Transport | undefined;
    let over = false;
    const opened = this.options.open({
      received: (text) => {
        if (!over && this.transport === own) this.hear(text);
      },
      closed: (code, reason) => {
        over = true;
        if (own !== undefined && this.transport === own) this.lost(code, reason);
      },
    });
    own = opened;
    this.transport = own;
    this.become({ kind: "connecting" });
    if (over) {
      this.lost(CLOSE_IDLE, "refused");
      return;
    }
    this.setDeadline(HANDSHAKE_MS_MAX, () => true);
  }

  private hear(text: string): void {
    this.heard_ms = this.options.clock.now();
    this.frames_heard += 1;
    const frame = parse(text);
    if (frame === undefined) {
      // Half a frame may be half an event. Only a fresh replay can tell what it was.
      this.drop(CLOSE_IDLE, "unreadable frame");
      this.retry();
      return;
    }
    if (frame.t === "hello") {
      this.begin(frame);
      return;
    }
    if (frame.t === "bye") this.leaveAfter(frame.after_ms);
    if (frame.t === "ready") {
      this.attempt = 0;
      this.cancelDeadline?.();
      this.options.received(frame);
      // The receiver may have found that this is not its gateway, and stopped.
      if (this.transport !== undefined) this.become({ kind: "ready" });
      return;
    }
    this.options.received(frame);
  }

  private begin(hello: Hello): void {
    if (hello.v !== PROTOCOL_VERSION) {
      this.stop(CLOSE_BAD_REQUEST, `protocol version ${hello.v}`);
      return;
    }
    this.heartbeat_ms = Math.max(1_000, hello.heartbeat_ms);
    const start = this.options.greet(hello);
    if (start === undefined || this.transport === undefined) return;
    this.send(start);
    this.beat();
  }

  private beat(): void {
    const { clock } = this.options;
    const until_dead_ms = Math.max(0, this.heard_ms + SILENCE_MS_MAX - clock.now());
    this.cancelHeartbeat?.();
    this.cancelHeartbeat = clock.after(Math.min(this.heartbeat_ms, until_dead_ms), () => {
      // Measured, not counted: timers of a sleeping machine or a hidden page come late.
      if (clock.now() - this.heard_ms >= SILENCE_MS_MAX) {
        this.drop(CLOSE_IDLE, "silence");
        this.retry();
        return;
      }
      this.ping();
      this.beat();
    });
  }

  /** The old gateway serves until then, so nothing is missed while we wait. */
  private leaveAfter(after_ms: number): void {
    const { clock } = this.options;
    const delay_ms = Math.min(Math.max(0, after_ms), DRAIN_MS_MAX);
    this.return_at_ms = clock.now() + delay_ms;
    this.cancelReturn?.();
    this.cancelReturn = clock.after(delay_ms, () => {
      this.drop(CLOSE_GOING_AWAY, "drain");
      this.connect();
    });
  }

  private ping(): void {
    this.ping_number += 1;
    this.send({ t: "ping", n: this.ping_number });
  }

  private expectFrame(delay_ms: number): void {
    const frames_before = this.frames_heard;
    this.setDeadline(delay_ms, () => this.frames_heard === frames_before);
  }

  private setDeadline(delay_ms: number, isDead: () => boolean): void {
    this.cancelDeadline?.();
    this.cancelDeadline = this.options.clock.after(delay_ms, () => {
      if (!isDead()) return;
      this.drop(CLOSE_IDLE, "no answer");
      this.retry();
    });
  }

  private lost(code: number, reason: string): void {
    this.transport = undefined;
    this.drop(code, reason);
    if (isFinal(code)) this.become({ kind: "stopped", code, reason });
    else this.retry();
  }

  private drop(code: number, reason: string): void {
    this.cancelHeartbeat?.();
    this.cancelDeadline?.();
    this.cancelReturn?.();
    const transport = this.transport;
    this.transport = undefined;
    transport?.close(code, reason);
  }

  private retry(): void {
    const { clock, random } = this.options;
    const asked_ms = Math.max(0, (this.return_at_ms ?? 0) - clock.now());
    const delay_ms = asked_ms > 0 ? asked_ms : backoffMs(this.attempt, random);
    this.attempt += 1;
    this.cancelRetry?.();
    this.cancelRetry = clock.after(delay_ms, () => this.connect());
    this.become({ kind: "waiting" });
  }

  private become(status: ConnectionStatus): void {
    this.status = status;
    this.options.changed(status);
  }
}

function parse(text: string): ServerFrame | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const named = typeof value === "object" && value !== null && "t" in value;
    return named ? (value as ServerFrame) : undefined;
  } catch {
    return undefined;
  }
}
