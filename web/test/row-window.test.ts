// Goal: however one scrolls and whatever arrives, the rows in the document are one contiguous part
// of the sequence (C3) and never more than the limit, and scrolling reaches every part of it.

import assert from "node:assert/strict";
import test from "node:test";

import fc from "fast-check";

import {
  atEnd,
  bounded,
  extended,
  firstSeq,
  hasEarlier,
  type Item,
  lastSeq,
  ROWS_FIRST,
  ROWS_MAX,
  within,
} from "../src/store/row-window.ts";

function sequence(count: number, gap?: { from: number; to: number }): Item[] {
  const all: Item[] = [];
  for (let seq = 1; seq <= count; seq += 1) {
    if (gap !== undefined && seq === gap.from) {
      all.push({ kind: "gap", ...gap });
      seq = gap.to;
      continue;
    }
    const author = { id: 1, name: "Ada" };
    all.push({ kind: "event", event: { seq, slot: seq, ts: 0, author, kind: "joined" } });
  }
  return all;
}

function range(rows: readonly Item[]): [number, number] {
  const [first, last] = [rows[0], rows.at(-1)];
  assert.ok(first !== undefined && last !== undefined);
  return [firstSeq(first), lastSeq(last)];
}

test("a room opens at its end", () => {
  const all = sequence(1_000);
  assert.deepEqual(range(within(all, atEnd(all))), [1_000 - ROWS_FIRST + 1, 1_000]);
  assert.equal(atEnd(sequence(5)).from, 1);
});

test("scrolling up trims at the lower end, and down again reaches the end", () => {
  const all = sequence(1_000);
  let window = atEnd(all);
  while (hasEarlier(all, window)) window = extended(all, window, "up");
  assert.deepEqual(range(within(all, window)), [1, ROWS_MAX], "the limit holds at the beginning");
  for (let n = 0; n < 20 && window.to !== undefined; n += 1) window = extended(all, window, "down");
  assert.equal(window.to, undefined, "it follows the end again");
});

test("a gap counts as one row and is in the window when a part of it is", () => {
  const all = sequence(900, { from: 101, to: 800 });
  const rows = within(all, { from: 500 });
  assert.deepEqual(range(rows), [101, 900]);
  assert.equal(rows.length, 101);
});

test("following the end drops what scrolled out; reading back keeps what is read", () => {
  const before = sequence(100);
  const window = atEnd(before);
  const after = sequence(500);
  assert.equal(within(after, bounded(after, window, true, "up")).length, ROWS_FIRST);
  const reading = within(after, bounded(after, window, false, "up"));
  assert.deepEqual(range(reading), [1, ROWS_MAX], "the rows under the reader's eyes stay");
});

test("property: contiguous, within the limit, never empty", () => {
  const step = fc.oneof(
    fc.constantFrom("up" as const, "down" as const, "end" as const),
    fc.record({ more: fc.integer({ min: 1, max: 400 }), following: fc.boolean() }),
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 800 }),
      fc.array(step, { maxLength: 40 }),
      (start, steps) => {
        let count = start;
        let all = sequence(count, { from: 2, to: 50 });
        let window = atEnd(all);
        let came: "up" | "down" = "up";
        for (const one of steps) {
          if (one === "end") window = atEnd(all);
          else if (one === "up" || one === "down") {
            came = one;
            window = extended(all, window, one);
          } else {
            count += one.more;
            all = sequence(count, { from: 2, to: 50 });
            window = bounded(all, window, one.following, came);
          }
          window = bounded(all, window, false, came);
          const rows = within(all, window);
          assert.ok(rows.length > 0 && rows.length <= ROWS_MAX, `${rows.length} rows`);
          rows.forEach((row, index) => {
            const before = rows[index - 1];
            if (before !== undefined) assert.equal(firstSeq(row), lastSeq(before) + 1, "C3");
          });
        }
      },
    ),
  );
});
