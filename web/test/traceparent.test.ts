// The context that a message carries: valid, the same for every attempt, chosen as often as asked.

import assert from "node:assert/strict";
import { test } from "node:test";

import { browserRandomBytes, makeCid } from "../src/outbox/cid.ts";
import { traceparent } from "../src/sync/traceparent.ts";

const cid = "018f3a2e-7c51-7abc-9def-0123456789ab";

test("a message has one trace, which can be told from its id", () => {
  const expected = "00-018f3a2e7c517abc9def0123456789ab-9def0123456789ab-01";
  assert.equal(traceparent(cid, 1_000_000), expected);
  assert.equal(traceparent(cid, 0), expected.replace(/1$/, "0"));
});

test("about as many messages are chosen as was asked for", () => {
  const chosen = (ppm: number) =>
    Array.from({ length: 4000 }, () =>
      traceparent(makeCid(Date.now(), browserRandomBytes), ppm),
    ).filter((context) => context.endsWith("-01")).length;
  assert.equal(chosen(0), 0);
  assert.equal(chosen(1_000_000), 4000);
  // 1000 are expected; one run in 10^12 is further off than seven standard deviations.
  assert.ok(Math.abs(chosen(250_000) - 1000) < 200);
});
