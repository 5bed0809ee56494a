// Goal: days, groups, gaps and the "new" line stand where a reader expects them; a message keeps
// its row when it moves from the outbox into the sequence.

import assert from "node:assert/strict";
import test from "node:test";

import type { OutboxEntry } from "../src/outbox/outbox.ts";
import type { Item } from "../src/store/row-window.ts";
import { type Row, timeline, type TimelineQuery } from "../src/store/timeline.ts";
import { newsAfter } from "../src/store/unread.ts";
import type { RoomEvent } from "../src/sync/event.ts";

const ME = 1;
const MINUTE = 60_000;

function message(seq: number, author: number, ts: number): RoomEvent {
  return {
    seq,
    slot: seq,
    ts,
    author: { id: author, name: `u${author}` },
    kind: "message",
    msg_no: seq,
    cid: `c${seq}`,
    body: "",
  };
}

function event(seq: number, author: number, ts: number): Item {
  return { kind: "event", event: message(seq, author, ts) };
}

function pending(cid: string, written_ms: number): OutboxEntry {
  return { stored: { cid, room: 1, body: "", written_ms, owner: "tab" }, progress: "queued" };
}

function rows(query: Partial<TimelineQuery>): Row[] {
  const dayOf = (ts: number) => String(Math.floor(ts / 86_400_000));
  return timeline({ items: [], pending: [], own_id: ME, read: undefined, dayOf, ...query });
}

function outline(all: Row[]): string[] {
  return all.map((row) => ("grouped" in row && row.grouped ? `${row.kind}+` : row.kind));
}

test("consecutive messages of one author within five minutes are grouped", () => {
  const items = [
    event(1, 2, 0),
    event(2, 2, MINUTE),
    event(3, 3, MINUTE),
    event(4, 2, 2 * MINUTE),
    event(5, 2, 8 * MINUTE),
  ];
  assert.deepEqual(outline(rows({ items })), [
    "day",
    "message",
    "message+",
    "message",
    "message",
    "message",
  ]);
});

test("a day and a gap end a group; after a gap the day is named again", () => {
  const day = 86_400_000;
  const items: Item[] = [
    event(1, 2, day - 1),
    event(2, 2, day),
    { kind: "gap", from: 3, to: 9 },
    event(10, 2, day + 1),
  ];
  assert.deepEqual(outline(rows({ items })), [
    "day",
    "message",
    "day",
    "message",
    "gap",
    "day",
    "message",
  ]);
});

test("the new line stands before the first unread message of somebody else", () => {
  const items = [event(1, 2, 0), event(2, ME, 0), event(3, 2, 0), event(4, 2, 0)];
  assert.deepEqual(outline(rows({ items, read: 1 })), [
    "day",
    "message",
    "message",
    "new",
    "message",
    "message+",
  ]);
  assert.ok(!outline(rows({ items, read: 4 })).includes("new"));
  assert.ok(!outline(rows({ items })).includes("new"));
});

test("a pending message keeps its key when it enters the sequence", () => {
  const before = rows({ pending: [pending("c7", 0)] }).at(-1);
  const after = rows({ items: [event(7, ME, 0)] }).at(-1);
  assert.equal(before?.kind, "pending");
  assert.equal(after?.kind, "message");
  assert.equal(before?.key, after?.key);
});

test("keys are unique", () => {
  const day = 86_400_000;
  const items: Item[] = [
    event(1, 2, 2 * day),
    event(2, 2, 0),
    { kind: "gap", from: 3, to: 9 },
    event(10, 2, 2 * day),
  ];
  const keys = rows({ items, pending: [pending("a", 0), pending("b", 0)] }).map((row) => row.key);
  assert.equal(new Set(keys).size, keys.length);
});

test("what the log tells of the cluster is a line of its own, and no news", () => {
  const told: RoomEvent = {
    seq: 2,
    slot: 2,
    ts: MINUTE,
    author: { id: 0, name: "" },
    kind: "notice",
    notice: { what: "silent", node: 2, for_ms: 2_000 },
  };
  const items: Item[] = [event(1, 2, 0), { kind: "event", event: told }, event(3, 2, 2 * MINUTE)];
  assert.deepEqual(outline(rows({ items, read: 1 })), [
    "day",
    "message",
    "notice",
    "new",
    "message",
  ]);
  assert.equal(newsAfter([told], 0, ME), 0);
});
