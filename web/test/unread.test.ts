// Goal (C5): what is shown as unread is what a recomputation from the first event on finds, for
// random histories with edits and deletions, markers of two devices, and logs of which a part is
// here; and a marker gets to the cluster, once a second at most.

import assert from "node:assert/strict";
import test from "node:test";

import fc from "fast-check";

import type { Joined } from "../src/generated/frames.ts";
import { badge, notified } from "../src/store/unread.ts";
import { ReadMarkers } from "../src/sync/read-markers.ts";
import { RoomSync } from "../src/sync/room-sync.ts";
import { type Counted, unread } from "../src/sync/unread.ts";
import { anyWishes } from "./fakes/arbitrary.ts";
import { eventsOf, readAt, recomputed } from "./fakes/changes.ts";
import { FakeClock } from "./fakes/clock.ts";

const ME = 1;

test("property: unread shown is unread recomputed, or the gateway is asked", () => {
  let told = 0;
  fc.assert(
    fc.property(anyWishes, fc.nat(), fc.nat(), fc.nat(), fc.nat(), (wishes, a, b, c, d) => {
      const events = eventsOf(wishes);
      const head = events.length;
      const read = a % (head + 1);
      const from = 1 + (b % (head + 1));
      const counted_head = read + (c % (head - read + 1));
      const moment = Math.max(counted_head, d % (head + 1));
      const log = events.slice(from - 1).map((one) => readAt(one, events, Math.max(one.seq, moment)));
      const pieces = [
        ...(from > 1 ? [{ kind: "gap" as const, from: 1, to: from - 1 }] : []),
        ...(log.length > 0 ? [{ kind: "loaded" as const, from, to: head, events: log }] : []),
      ];
      const counted: Counted = {
        ...recomputed(events.slice(0, counted_head), read, ME),
        more: false,
        read,
        head: counted_head,
      };
      const found = unread({ pieces, head, read, own_id: ME, counted });
      if (found === undefined) return;
      told += 1;
      const truth = recomputed(events, read, ME);
      assert.deepEqual({ count: found.count, mentions: found.mentions }, truth);
    }),
    { numRuns: 500 },
  );
  assert.ok(told > 200, `only ${told} of 500 could be told`);
});

interface Cluster {
  read: number;
  devices: ReadMarkers[];
  told: number[];
}

/** Devices of one person; what one tells reaches the others after a while. */
function devices(clock: FakeClock, count: number, room: RoomSync): Cluster {
  const cluster: Cluster = { read: 0, devices: [], told: [] };
  for (let n = 0; n < count; n += 1) {
    cluster.devices.push(
      new ReadMarkers({
        clock,
        own_id: ME,
        tell: (id, seq) =>
          new Promise((resolve) => {
            clock.after(20, () => {
              cluster.told.push(clock.now());
              cluster.read = Math.max(cluster.read, seq);
              for (const device of cluster.devices) {
                clock.after(20, () => device.told(id, cluster.read));
              }
              resolve(id);
            });
          }),
        ask: async () => [joinedOf(room, cluster.read)],
        changed: () => {},
      }),
    );
  }
  for (const device of cluster.devices) device.learn(joinedOf(room, 0));
  return cluster;
}

function joinedOf(room: RoomSync, read: number): Joined {
  return { id: room.id, name: "r", head: room.head, members: 2, kind: "public", read };
}

function roomWith(clock: FakeClock, messages: number): RoomSync {
  const room = new RoomSync(
    { id: 1, name: "r", head: messages, members: 2, kind: "public" },
    {
      clock,
      random: () => 0.5,
      page: () => Promise.reject(new Error("not asked")),
      applied: () => {},
      changed: () => {},
      repaired: () => {},
    },
  );
  const wishes = Array.from({ length: messages }, () => ({
    do: "post" as const,
    by: 2,
    reply_to: 99,
    mentions: [ME],
  }));
  for (const event of eventsOf(wishes)) room.event(event);
  return room;
}

test("property: two devices agree on the furthest marker within a second or two", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat({ max: 1 }), fc.integer({ min: 1, max: 50 }), fc.nat({ max: 900 })), {
        minLength: 1,
        maxLength: 12,
      }),
      async (marks) => {
        const clock = new FakeClock();
        const room = roomWith(clock, 50);
        const { devices: both } = devices(clock, 2, room);
        let furthest = 0;
        for (const [who, seq, pause_ms] of marks) {
          both[who]?.mark(1, seq);
          furthest = Math.max(furthest, seq);
          await clock.advance(pause_ms);
        }
        await clock.advance(1_100);
        for (const device of both) {
          assert.equal(device.of(1), furthest);
          const { count, mentions, more } = device.unread(room);
          assert.deepEqual([count, mentions, more], [50 - furthest, 50 - furthest, false]);
        }
      },
    ),
    { numRuns: 50 },
  );
});

test("a marker is told at most once a second, the last one always", async () => {
  const clock = new FakeClock();
  const room = roomWith(clock, 50);
  const cluster = devices(clock, 1, room);
  for (let seq = 1; seq <= 50; seq += 1) {
    cluster.devices[0]?.mark(1, seq);
    await clock.advance(100);
  }
  await clock.advance(2_000);
  assert.equal(cluster.read, 50);
  const pauses = cluster.told.slice(1).map((at, index) => at - (cluster.told[index] ?? 0));
  assert.ok(Math.min(...pauses) >= 1_000, `told after ${pauses}`);
});

test("a page that goes away tells at once what was read", async () => {
  const clock = new FakeClock();
  const cluster = devices(clock, 1, roomWith(clock, 9));
  cluster.devices[0]?.mark(1, 3);
  await clock.advance(100);
  cluster.devices[0]?.mark(1, 9);
  cluster.devices[0]?.flush();
  await clock.advance(100);
  assert.equal(cluster.read, 9);
});

test("badges", () => {
  assert.deepEqual(
    [badge(0), badge(7), badge(99), badge(100, true), badge(3, true), badge(0, true)],
    ["", "7", "99", "99+", "3+", ""],
  );
});

test("a person hears of a room what that person wants to hear", () => {
  const found = { count: 5, more: false, mentions: 2 };
  assert.deepEqual(notified(found, "mentions"), found);
  assert.deepEqual(notified(found, "all"), { ...found, mentions: 5 });
  assert.deepEqual(notified({ ...found, more: true }, "nothing"), {
    count: 0,
    more: false,
    mentions: 0,
  });
});
