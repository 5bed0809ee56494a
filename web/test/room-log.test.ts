// Goal: the chain of pieces covers 1…last without hole or overlap after any sequence of calls, and
// an event that is loaded never changes (C3, C6).

import assert from "node:assert/strict";
import test from "node:test";

import fc from "fast-check";

import { isRun, RoomLog } from "../src/sync/room-log.ts";
import type { RoomEvent } from "../src/sync/event.ts";

function event(seq: number, body = `m${seq}`): RoomEvent {
  const author = { id: 1, name: "Ada" };
  return { seq, slot: seq, ts: 0, author, kind: "message", msg_no: seq, cid: `c${seq}`, body };
}

function run(from: number, to: number): RoomEvent[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => event(from + index));
}

function outline(log: RoomLog): string {
  return log.pieces
    .map((piece) => `${piece.kind === "gap" ? "?" : ""}${piece.from}-${piece.to}`)
    .join(" ");
}

test("seq ≤ last is dropped, last + 1 applied, more is ahead", () => {
  const log = new RoomLog();
  assert.equal(log.offer(event(2)), "ahead");
  assert.equal(log.offer(event(1)), "applied");
  assert.equal(log.offer(event(1)), "known");
  assert.equal(log.offer(event(3)), "ahead");
  assert.equal(log.offer(event(2)), "applied");
  assert.equal(outline(log), "1-2");
});

test("a gap that starts late is widened, one that starts early is clipped", () => {
  const log = new RoomLog();
  log.offer(event(1));
  log.skipTo(10);
  assert.equal(outline(log), "1-1 ?2-10");
  log.skipTo(7);
  assert.equal(outline(log), "1-1 ?2-10", "nothing that is known is forgotten");
  log.skipTo(12);
  assert.equal(outline(log), "1-1 ?2-12");
});

test("filling from either side and from the middle joins the pieces", () => {
  const log = new RoomLog();
  log.skipTo(10);
  log.offer(event(11));
  assert.equal(log.fill(run(8, 10)).length, 3);
  assert.equal(outline(log), "?1-7 8-11");
  log.fill(run(4, 5));
  assert.equal(outline(log), "?1-3 4-5 ?6-7 8-11");
  assert.equal(log.fill(run(1, 12)).length, 5, "only what was missing, nothing beyond last");
  assert.equal(outline(log), "1-11");
  assert.equal(log.find(7)?.seq, 7);
});

test("what is loaded stays as it is, whatever a page says", () => {
  const log = new RoomLog();
  log.offer(event(1, "first"));
  log.fill([event(1, "second")]);
  log.offer(event(1, "third"));
  assert.deepEqual(log.find(1), event(1, "first"));
});

test("trimming turns the oldest into a gap and keeps the newest", () => {
  const log = new RoomLog();
  for (const one of run(1, 10)) log.offer(one);
  log.trimOldest(4);
  assert.equal(outline(log), "?1-6 7-10");
  assert.equal(log.loaded_count, 4);
});

test("a page with a hole, or one that begins elsewhere, is no run", () => {
  assert.ok(isRun([]));
  assert.ok(isRun(run(3, 5), { first: 3, last: 5 }));
  assert.ok(!isRun([event(1), event(3)]));
  assert.ok(!isRun(run(3, 5), { first: 2 }));
});

test("property: no sequence of calls breaks the chain", () => {
  const seq = fc.integer({ min: 1, max: 40 });
  const call = fc.oneof(
    fc.record({ call: fc.constant("offer" as const), seq }),
    fc.record({ call: fc.constant("skip" as const), seq }),
    fc.record({ call: fc.constant("fill" as const), seq, length: fc.integer({ min: 0, max: 20 }) }),
    fc.record({ call: fc.constant("trim" as const), seq }),
  );
  fc.assert(
    fc.property(fc.array(call, { maxLength: 60 }), (calls) => {
      const log = new RoomLog();
      for (const one of calls) {
        const last_before = log.last;
        if (one.call === "offer") log.offer(event(one.seq));
        else if (one.call === "skip") log.skipTo(one.seq);
        else if (one.call === "fill") log.fill(run(one.seq, one.seq + one.length - 1));
        else log.trimOldest(one.seq);
        assert.ok(log.last >= last_before, "the end never moves back");
        let expected = 1;
        let loaded = 0;
        let kind_before: string | undefined;
        for (const piece of log.pieces) {
          assert.equal(piece.from, expected);
          assert.ok(piece.to >= piece.from);
          assert.notEqual(piece.kind, kind_before, "neighbours of one kind are one piece");
          if (piece.kind === "loaded") {
            assert.deepEqual(piece.events, run(piece.from, piece.to));
            loaded += piece.events.length;
          }
          kind_before = piece.kind;
          expected = piece.to + 1;
        }
        assert.equal(loaded, log.loaded_count);
      }
    }),
  );
});
