// Time and chance as arguments, so that a test plays any schedule and always the same one.

export type Cancel = () => void;

export interface Clock {
  /** Milliseconds since 1970. May jump: a laptop sleeps, a person sets the clock. */
  now(): number;
  after(delay_ms: number, run: () => void): Cancel;
}

/** In [0, 1), like `Math.random`. */
export type Random = () => number;

export const browserClock: Clock = {
  now: () => Date.now(),
  after(delay_ms, run) {
    const timer = setTimeout(run, delay_ms);
    return () => clearTimeout(timer);
  },
};
