// Everything but messages: sent until answered, with one `cid` per wish, but not durable: a person
// waits in front of the page.

import type { Cancel, Clock, Random } from "../clock/clock.ts";
import type { ClientFrame, ErrorCode } from "../generated/frames.ts";
import { backoffMs } from "../socket/backoff.ts";
import type { Cid, RoomId } from "./event.ts";
import { RequestFailed } from "./history.ts";
import { ANSWER_MS_MAX } from "./limits.ts";

export type RequestFrame = Exclude<
  Extract<ClientFrame, { cid: Cid }>,
  { t: "send" }
>;

interface Pending {
  frame: RequestFrame;
  in_flight: boolean;
  attempt: number;
  not_before_ms: number;
  resolve(room: RoomId): void;
  reject(error: RequestFailed): void;
}

export interface RequestsOptions {
  clock: Clock;
  random: Random;
  mayTransmit(): boolean;
  transmit(frame: ClientFrame): void;
}

export class Requests {
  private readonly options: RequestsOptions;
  private readonly pending = new Map<Cid, Pending>();
  private cancelPump: Cancel | undefined;

  constructor(options: RequestsOptions) {
    this.options = options;
  }

  get in_flight(): number {
    return [...this.pending.values()].filter((one) => one.in_flight).length;
  }

  /** Resolves with the room once the wish is committed and applied; rejects when it is refused. */
  make(frame: RequestFrame): Promise<RoomId> {
    return new Promise((resolve, reject) => {
      this.pending.set(frame.cid, {
        frame,
        in_flight: false,
        attempt: 0,
        not_before_ms: 0,
        resolve,
        reject,
      });
      this.pump();
    });
  }

  done(cid: Cid, room: RoomId): void {
    const one = this.pending.get(cid);
    this.pending.delete(cid);
    one?.resolve(room);
  }

  /** Returns false when `cid` is not one of ours. */
  postponed(cid: Cid, retry_ms?: number): boolean {
    const one = this.pending.get(cid);
    if (one === undefined) return false;
    one.in_flight = false;
    one.not_before_ms =
      this.options.clock.now() + (retry_ms ?? backoffMs(one.attempt, this.options.random));
    one.attempt += 1;
    this.pump();
    return true;
  }

  /** Returns false when `cid` is not one of ours. */
  refused(cid: Cid, code: ErrorCode, message: string): boolean {
    const one = this.pending.get(cid);
    this.pending.delete(cid);
    one?.reject(new RequestFailed(code, message, false));
    return one !== undefined;
  }

  linkLost(): void {
    for (const one of this.pending.values()) one.in_flight = false;
  }

  hurry(): void {
    for (const one of this.pending.values()) {
      one.attempt = 0;
      one.not_before_ms = 0;
    }
    this.pump();
  }

  close(): void {
    this.cancelPump?.();
  }

  private pump(): void {
    const { clock, mayTransmit, transmit } = this.options;
    this.cancelPump?.();
    const now_ms = clock.now();
    let next_ms = Infinity;
    for (const one of this.pending.values()) {
      if (one.not_before_ms <= now_ms && mayTransmit()) {
        one.in_flight = true;
        one.not_before_ms = now_ms + ANSWER_MS_MAX;
        transmit(one.frame);
      }
      if (one.not_before_ms > now_ms) next_ms = Math.min(next_ms, one.not_before_ms);
    }
    if (next_ms < Infinity) this.cancelPump = clock.after(next_ms - now_ms, () => this.pump());
  }
}
