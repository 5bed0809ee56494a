// How long to wait before the next attempt. Full jitter: a gateway that comes back must not be
// met by all its clients in the same millisecond.

import type { Random } from "../clock/clock.ts";

const FIRST_MS_MAX = 500;
const LATER_MS_MAX = 30_000;

/** `attempt` counts the attempts that have failed in a row, from 0. */
export function backoffMs(attempt: number, random: Random): number {
  // The exponent is capped before the power is taken, or 2 ** 2000 would be Infinity.
  const ceiling_ms = Math.min(LATER_MS_MAX, FIRST_MS_MAX * 2 ** Math.min(attempt, 10));
  return Math.floor(random() * ceiling_ms);
}
