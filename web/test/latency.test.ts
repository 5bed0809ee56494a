// Goal: a figure is shown only for what was really measured.

import assert from "node:assert/strict";
import test from "node:test";

import { Latency, percentile } from "../src/sync/latency.ts";

test("a message that was sent once is measured stage by stage", () => {
  const latency = new Latency();
  latency.sent("a", 100);
  latency.state("a", "proposed", 7, 101);
  latency.state("a", "chosen", 7, 104);
  latency.acknowledged("a", 7, false, 105);
  assert.deepEqual(latency.of("a"), {
    sent_ms: 100,
    slot: 7,
    proposed_ms: 1,
    chosen_ms: 4,
    applied_ms: 5,
  });
  assert.deepEqual(latency.commits_ms, [5]);
});

test("what was sent twice, answered for an earlier attempt or refused is not", () => {
  const latency = new Latency();
  latency.sent("twice", 0);
  latency.sent("twice", 1_000);
  latency.acknowledged("twice", 1, false, 1_001);
  latency.sent("dup", 0);
  latency.acknowledged("dup", 2, true, 1);
  latency.sent("refused", 0);
  latency.forget("refused");
  latency.acknowledged("stranger", 3, false, 1);
  assert.deepEqual(latency.commits_ms, []);
});

test("a third attempt is not taken for a first one", () => {
  const latency = new Latency();
  for (const now of [0, 1_000, 2_000]) latency.sent("a", now);
  latency.acknowledged("a", 1, false, 2_001);
  assert.deepEqual(latency.commits_ms, []);
});

test("only the last ones are remembered", () => {
  const latency = new Latency();
  for (let n = 0; n < 500; n += 1) {
    latency.sent(`c${n}`, n);
    latency.acknowledged(`c${n}`, n, false, n + 1);
  }
  assert.equal(latency.commits_ms.length, 200);
  assert.equal(latency.of("c0"), undefined);
});

test("percentiles by the nearest rank", () => {
  const values = Array.from({ length: 100 }, (_, n) => 100 - n);
  assert.equal(percentile(values, 0.5), 50);
  assert.equal(percentile(values, 0.99), 99);
  assert.equal(percentile([3], 0.99), 3);
  assert.equal(percentile([], 0.5), undefined);
});
