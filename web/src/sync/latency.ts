// How long the cluster takes, measured by this page on its own messages: from the moment one is
// sent until it is chosen, and until it is committed and applied. Nothing is measured of what was
// sent more than once, because nobody knows which of them was answered.
//
// Without a clock of its own. Tests: test/latency.test.ts

import type { Cid, Slot } from "../generated/frames.ts";

/** How far one own message came, in milliseconds since it was sent. */
export interface Journey {
  sent_ms: number;
  slot?: Slot;
  proposed_ms?: number;
  chosen_ms?: number;
  applied_ms?: number;
}

/** So many are remembered, for the percentiles, the line, and the look behind a message. */
const JOURNEYS_MAX = 200;

export class Latency {
  private readonly journeys = new Map<Cid, Journey>();
  private readonly repeated = new Set<Cid>();

  sent(cid: Cid, now_ms: number): void {
    if (this.journeys.delete(cid) || this.repeated.has(cid)) {
      this.repeated.add(cid);
      return;
    }
    this.journeys.set(cid, { sent_ms: now_ms });
    for (const oldest of this.journeys.keys()) {
      if (this.journeys.size <= JOURNEYS_MAX) break;
      this.journeys.delete(oldest);
    }
  }

  state(cid: Cid, state: "proposed" | "chosen", slot: Slot, now_ms: number): void {
    const journey = this.journeys.get(cid);
    if (journey === undefined) return;
    journey.slot = slot;
    journey[`${state}_ms`] ??= now_ms - journey.sent_ms;
  }

  /** `dup`: the answer to an earlier attempt. */
  acknowledged(cid: Cid, slot: Slot, dup: boolean, now_ms: number): void {
    this.repeated.delete(cid);
    const journey = this.journeys.get(cid);
    if (journey === undefined) return;
    if (dup) {
      this.journeys.delete(cid);
      return;
    }
    journey.slot = slot;
    journey.applied_ms = now_ms - journey.sent_ms;
  }

  /** Refused: it was never committed. */
  forget(cid: Cid): void {
    this.journeys.delete(cid);
    this.repeated.delete(cid);
  }

  of(cid: Cid): Journey | undefined {
    return this.journeys.get(cid);
  }

  /** Milliseconds from sending to the ack, oldest first. */
  get commits_ms(): number[] {
    return [...this.journeys.values()].flatMap(({ applied_ms }) => applied_ms ?? []);
  }
}

/** The nearest rank: the smallest value that so large a part (0 to 1) does not exceed. */
export function percentile(values: readonly number[], part: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
}
