// Goal: a cid is a UUIDv7 as docs/protocol.md wants it, in the order of time.

import assert from "node:assert/strict";
import test from "node:test";

import { makeCid } from "../src/outbox/cid.ts";

test("version 7, variant 10, lower case, sorted by time", () => {
  const zeros = (length: number) => new Uint8Array(length);
  const ones = (length: number) => new Uint8Array(length).fill(255);
  const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  for (const bytes of [zeros, ones]) assert.match(makeCid(1_700_000_000_000, bytes), shape);
  assert.ok(makeCid(1_700_000_000_000, ones) < makeCid(1_700_000_000_001, zeros));
  assert.equal(makeCid(0x0123_4567_89ab, zeros), "01234567-89ab-7000-8000-000000000000");
});
