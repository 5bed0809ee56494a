// The trace of a message, as the gateway is told it: W3C Trace Context.
//
// Everything follows from the `cid`, which is a UUIDv7: half of it is random, and it stays the same
// however often the message is sent. So a message has one trace, whose id can be told from its own.

import type { Cid } from "./event.ts";

/** Of a million messages, about `ppm` are chosen to be traced. */
export function traceparent(cid: Cid, ppm: number): string {
  const trace = cid.replaceAll("-", "");
  const draw = parseInt(trace.slice(-8), 16) / 0x1_0000_0000;
  return `00-${trace}-${trace.slice(16)}-0${draw * 1e6 < ppm ? 1 : 0}`;
}
