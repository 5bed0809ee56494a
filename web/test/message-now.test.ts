// Goal: a message is what all its changes make of it, whenever it was read and whatever of the
// later events was contained in that reading already.

import assert from "node:assert/strict";
import test from "node:test";

import fc from "fast-check";

import type { MessageEvent, RoomEvent } from "../src/sync/event.ts";
import { changesOf, messageNow } from "../src/sync/message-now.ts";
import { anyWishes } from "./fakes/arbitrary.ts";
import { eventsOf, readAt, stateAfter } from "./fakes/changes.ts";

function loaded(events: RoomEvent[]) {
  const [first, last] = [events[0]?.seq ?? 1, events.at(-1)?.seq ?? 1];
  return [{ kind: "loaded" as const, from: first, to: last, events }];
}

test("property: read at any moment, with all later events, a message is the same", () => {
  fc.assert(
    fc.property(anyWishes, fc.array(fc.nat(), { minLength: 1 }), (wishes, moments) => {
      const events = eventsOf(wishes);
      const truth = stateAfter(events, events.length);
      // Each event was read at a moment of its own, not before it happened.
      const log = events.map((event, index) => {
        const moment = moments[index % moments.length] ?? 0;
        return readAt(event, events, event.seq + (moment % (events.length - event.seq + 1)));
      });
      const changes = changesOf(loaded(log));
      for (const event of log) {
        if (event.kind !== "message") continue;
        const now = messageNow(event, changes);
        const wanted = truth.get(event.seq);
        const reactions = now.reactions.flatMap(({ emoji, people }) =>
          people.map((one): [string, number] => [emoji, one.id]),
        );
        assert.deepEqual(
          {
            body: now.body,
            deleted: now.deleted,
            pinned: now.pinned,
            edited: now.edited?.seq ?? 0,
            replies: now.replies,
            mentions: now.mentions,
            reactions: reactions.sort(),
          },
          {
            body: wanted?.body,
            deleted: wanted?.deleted,
            pinned: wanted?.pinned,
            edited: wanted?.edited,
            replies: wanted?.replies,
            mentions: wanted?.mentions,
            reactions: wanted?.reactions.sort(),
          },
        );
      }
    }),
  );
});

test("a deleted message stays deleted, whatever is said of it", () => {
  const [message] = eventsOf([{ do: "post", by: 2, reply_to: 99, mentions: [] }]);
  const change = (seq: number, kind: "deleted" | "pinned"): RoomEvent => ({
    seq,
    slot: seq,
    ts: 0,
    author: { id: 2, name: "u2" },
    kind,
    of: 1,
  });
  const edited: RoomEvent = { ...change(3, "pinned"), kind: "edited", body: "again", of: 1 };
  const log = [message as RoomEvent, change(2, "deleted"), edited];
  const now = messageNow(message as MessageEvent, changesOf(loaded(log)));
  assert.deepEqual([now.deleted, now.body], [true, ""]);
});

test("a message that a moderator took away says so, live and read from history", () => {
  const [message] = eventsOf([{ do: "post", by: 2, reply_to: 99, mentions: [] }]);
  const deletedBy = (id: number): RoomEvent => ({
    seq: 2,
    slot: 2,
    ts: 0,
    author: { id, name: `u${id}` },
    kind: "deleted",
    of: 1,
  });
  const live = (id: number) =>
    messageNow(message as MessageEvent, changesOf(loaded([message as RoomEvent, deletedBy(id)])));
  assert.deepEqual([live(2).taken_away, live(3).taken_away], [false, true]);
  const read = { ...(message as MessageEvent), body: "", deleted: true, rev: 2 };
  assert.equal(messageNow(read, new Map()).taken_away, false);
  assert.equal(messageNow({ ...read, taken_away_by: 3 }, new Map()).taken_away, true);
});
