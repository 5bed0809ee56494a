// A clock that stands still until a test moves it.

import type { Cancel, Clock, Random } from "../../src/clock/clock.ts";

interface Timer {
  at_ms: number;
  order: number;
  run(): void;
}

export class FakeClock implements Clock {
  private now_ms = 1_700_000_000_000;
  private order = 0;
  private timers: Timer[] = [];

  now(): number {
    return this.now_ms;
  }

  after(delay_ms: number, run: () => void): Cancel {
    const timer = { at_ms: this.now_ms + Math.max(0, delay_ms), order: this.order++, run };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((one) => one !== timer);
    };
  }

  /** Runs what is due within `span_ms`, one timer after the other, promises in between. */
  async advance(span_ms: number): Promise<void> {
    const end_ms = this.now_ms + span_ms;
    await settle();
    for (let next = this.due(end_ms); next !== undefined; next = this.due(end_ms)) {
      const timer = next;
      this.timers = this.timers.filter((one) => one !== timer);
      // After a sleep timers come late, never early.
      this.now_ms = Math.max(this.now_ms, timer.at_ms);
      timer.run();
      await settle();
    }
    this.now_ms = end_ms;
  }

  /** The machine sleeps: time passes and no timer runs. */
  sleep(span_ms: number): void {
    this.now_ms += span_ms;
  }

  private due(end_ms: number): Timer | undefined {
    return this.timers
      .filter((timer) => timer.at_ms <= end_ms)
      .sort((a, b) => a.at_ms - b.at_ms || a.order - b.order)[0];
  }
}

/** Lets every promise that can go on go on. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** The same numbers for the same seed (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
