// Goal: what may be lost is never believed for longer than it holds, and is told no more often than
// is useful.

import assert from "node:assert/strict";
import test from "node:test";

import type { ClientFrame } from "../src/generated/frames.ts";
import {
  AWAY_AFTER_MS,
  Ephemera,
  TYPING_EVERY_MS,
  TYPING_FOR_MS,
  WATCH_AFTER_MS,
  WATCHED_MAX,
} from "../src/sync/ephemera.ts";
import { FakeClock } from "./fakes/clock.ts";

const ROOM = 1;
const ANNA = { id: 7, name: "Anna" };
const BEN = { id: 8, name: "Ben" };

function start() {
  const clock = new FakeClock();
  const said: ClientFrame[] = [];
  const drawn = { writing: 0, presence: 0 };
  const ephemera = new Ephemera({
    clock,
    say: (frame) => said.push(frame),
    writing: () => {
      drawn.writing += 1;
    },
    presence: () => {
      drawn.presence += 1;
    },
  });
  const names = () => ephemera.writersIn(ROOM).map((person) => person.name);
  return { clock, said, drawn, ephemera, names };
}

test("who writes is shown until it is over, and longer when it goes on", async () => {
  const { clock, drawn, ephemera, names } = start();
  ephemera.received({ t: "typing", room: ROOM, person: ANNA });
  await clock.advance(TYPING_EVERY_MS);
  ephemera.received({ t: "typing", room: ROOM, person: ANNA });
  ephemera.received({ t: "typing", room: ROOM, person: BEN });
  assert.deepEqual(names(), ["Anna", "Ben"]);
  assert.equal(drawn.writing, 2, "whoever writes on is no news");
  await clock.advance(TYPING_FOR_MS - 1);
  assert.deepEqual(names(), ["Anna", "Ben"]);
  await clock.advance(1);
  assert.deepEqual(names(), []);
  assert.equal(drawn.writing, 4);
});

test("a message ends it at once, in its room and for its author only", async () => {
  const { clock, drawn, ephemera, names } = start();
  ephemera.received({ t: "typing", room: ROOM, person: ANNA });
  ephemera.received({ t: "typing", room: ROOM, person: BEN });
  ephemera.spoke(2, ANNA.id);
  ephemera.spoke(ROOM, ANNA.id);
  assert.deepEqual(names(), ["Ben"]);
  assert.equal(drawn.writing, 3);
  await clock.advance(TYPING_FOR_MS);
  assert.equal(drawn.writing, 4, "a timer that was cancelled draws nothing");
});

test("the own writing is told once in a while, and anew after sending", async () => {
  const { clock, said, ephemera } = start();
  for (let letter = 0; letter < 50; letter += 1) {
    ephemera.typed(ROOM);
    await clock.advance(100);
  }
  assert.equal(said.length, 2, "50 letters in 5 s");
  ephemera.sent(ROOM);
  ephemera.typed(ROOM);
  ephemera.typed(2);
  assert.equal(said.length, 4);
});

test("presence is asked for what is shown, once, and again by a new connection", async () => {
  const { clock, said, drawn, ephemera } = start();
  const hideBoth = ephemera.show([7, 8]);
  const hideOne = ephemera.show([8]);
  await clock.advance(WATCH_AFTER_MS);
  assert.deepEqual(said, [{ t: "watch", people: [7, 8] }]);
  ephemera.received({ t: "presence", people: [{ id: 7, presence: "away" }] });
  assert.equal(ephemera.presenceOf(7), "away");
  assert.equal(ephemera.presenceOf(8), undefined);
  ephemera.disconnected();
  assert.equal(ephemera.presenceOf(7), undefined, "nobody tells it any more");
  assert.equal(drawn.presence, 2);
  ephemera.connected();
  hideBoth();
  await clock.advance(WATCH_AFTER_MS);
  hideOne();
  await clock.advance(WATCH_AFTER_MS);
  assert.deepEqual(said.slice(1), [
    { t: "watch", people: [7, 8] },
    { t: "watch", people: [8] },
    { t: "watch", people: [] },
  ]);
});

test("a crowd is watched as far as the gateway allows", async () => {
  const { clock, said, ephemera } = start();
  ephemera.show(Array.from({ length: WATCHED_MAX + 1 }, (_, index) => index));
  await clock.advance(WATCH_AFTER_MS);
  const [watch] = said;
  assert.ok(watch?.t === "watch" && watch.people.length === WATCHED_MAX);
});

test("a device that nobody touches is left, and come back to", async () => {
  const { clock, said, ephemera } = start();
  await clock.advance(AWAY_AFTER_MS - 1);
  ephemera.touched();
  await clock.advance(AWAY_AFTER_MS - 1);
  assert.deepEqual(said, []);
  await clock.advance(1);
  assert.deepEqual(said, [{ t: "away", away: true }]);
  ephemera.connected();
  assert.equal(said.length, 2, "the new connection is told as well");
  ephemera.touched();
  ephemera.touched();
  assert.deepEqual(said.slice(2), [{ t: "away", away: false }]);
  await clock.advance(AWAY_AFTER_MS);
  assert.deepEqual(said.at(-1), { t: "away", away: true });
  ephemera.close();
});
