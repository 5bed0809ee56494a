// Goal: each way in which a stream or an answer can go wrong, once and by name. The property test
// beside this file mixes them all.

import assert from "node:assert/strict";
import test from "node:test";

import type { ServerFrame } from "../src/generated/frames.ts";
import { FakeClock } from "./fakes/clock.ts";
import { Device, ME } from "./fakes/device.ts";
import type { Arrival } from "./fakes/gateway.ts";
import { Invariants } from "./invariants.ts";

async function connected(
  rooms = [1],
): Promise<{ clock: FakeClock; device: Device; invariants: Invariants }> {
  const clock = new FakeClock();
  const device = new Device(clock, 1, rooms);
  device.engine.start();
  await clock.advance(100);
  return { clock, device, invariants: new Invariants(device) };
}

const once = (frame: ServerFrame): Arrival[] => [{ frame, later_ms: 0 }];

function progress(device: Device): string[] {
  return device.engine.outbox.entries.map((entry) => entry.progress);
}

function own(device: Device, room = 1): string[] {
  return device.cluster
    .events(room)
    .flatMap((event) =>
      event.kind === "message" && event.author.id === ME.id ? [event.body] : [],
    );
}

test("C3: a dropped event is fetched before anything newer is shown", async () => {
  const { clock, device, invariants } = await connected();
  device.gateway.mangle = (frame) => (frame.t === "ev" && frame.ev.seq === 2 ? [] : once(frame));
  device.http_down = true;
  device.otherWrites(1, 4);
  await clock.advance(50);
  assert.equal(device.shown(1).length, 1, "3 and 4 wait for 2");
  device.http_down = false;
  await clock.advance(2_000);
  assert.equal(device.shown(1).length, 4);
  invariants.check();
});

test("C3: doubled and reordered events leave each once, in order", async () => {
  const { clock, device, invariants } = await connected();
  device.gateway.mangle = (frame) =>
    frame.t === "ev"
      ? [
          { frame, later_ms: 60 - frame.ev.seq * 10 },
          { frame, later_ms: 70 },
        ]
      : once(frame);
  device.otherWrites(1, 5);
  await clock.advance(500);
  assert.equal(device.engine.rooms.get(1)?.log.last, 5);
  assert.equal(device.shown(1).length, 5);
  invariants.check();
});

test("C3: a long absence becomes an explicit gap, and scrolling loads it from both sides", async () => {
  const { clock, device, invariants } = await connected();
  device.otherWrites(1, 2);
  await clock.advance(50);
  device.gateway.cut();
  device.otherWrites(1, 700);
  await clock.advance(600);
  const room = device.engine.rooms.get(1);
  const shape = () => room?.log.pieces.map((piece) => [piece.kind, piece.from, piece.to]);
  // What was here before may have been edited or deleted in the gap: it is read again, too.
  assert.deepEqual(shape(), [
    ["gap", 1, 652],
    ["loaded", 653, 702],
  ]);
  await room?.fillGap(652, "before");
  assert.deepEqual(shape(), [
    ["gap", 1, 552],
    ["loaded", 553, 702],
  ]);
  await room?.fillGap(1, "after");
  assert.deepEqual(shape(), [
    ["loaded", 1, 100],
    ["gap", 101, 552],
    ["loaded", 553, 702],
  ]);
  assert.equal(await room?.loadAround(300), true);
  assert.deepEqual(shape(), [
    ["loaded", 1, 100],
    ["gap", 101, 250],
    ["loaded", 251, 350],
    ["gap", 351, 552],
    ["loaded", 553, 702],
  ]);
  assert.equal(await room?.loadAround(703), false, "beyond the head");
  invariants.check();
  assert.deepEqual(device.caught_up, [700], "the gap counts as missed, it is only not loaded yet");
});

test("a gap that cannot be loaded says so and stays", async () => {
  const { device, clock } = await connected();
  device.otherWrites(1, 100);
  await clock.advance(50);
  device.reload();
  await clock.advance(100);
  device.http_down = true;
  await assert.rejects(device.engine.rooms.get(1)?.fillGap(1, "before") ?? Promise.resolve());
  assert.equal(device.shown(1)[0], null);
  assert.equal(device.engine.rooms.get(1)?.filling.size, 0);
});

test("reconnect: what was missed is replayed and counted, own messages are not", async () => {
  const { clock, device, invariants } = await connected([1, 2]);
  device.gateway.reachable = false;
  device.gateway.cut();
  await device.engine.send(1, "written offline");
  device.otherWrites(1, 40);
  device.otherWrites(2, 1);
  device.gateway.reachable = true;
  await clock.advance(5_000);
  assert.deepEqual(device.caught_up, [41]);
  assert.deepEqual(own(device), ["written offline"]);
  invariants.check();
});

test("lag: pages are pulled, then resume, then live again", async () => {
  const { clock, device, invariants } = await connected([1, 2]);
  device.otherWrites(1, 2);
  device.gateway.lag();
  device.otherWrites(1, 1);
  await clock.advance(100);
  const resume = device.gateway.heard.find((frame) => frame.t === "resume");
  assert.deepEqual(resume, { t: "resume", rooms: { 1: 3 } });
  device.otherWrites(2, 3);
  await clock.advance(100);
  assert.equal(device.shown(1).length, 3);
  assert.equal(device.shown(2).length, 3);
  assert.equal(device.gateway.connections, 1);
  invariants.check();
});

test("lag swallows an ack: the message is sent again and answered with dup", async () => {
  const { clock, device, invariants } = await connected();
  device.gateway.mangle = (frame) => (frame.t === "ack" || frame.t === "ev" ? [] : once(frame));
  await device.engine.send(1, "hello");
  await clock.advance(30);
  device.gateway.mangle = once;
  device.gateway.lag();
  await clock.advance(200);
  assert.deepEqual(own(device), ["hello"]);
  assert.deepEqual(progress(device), []);
  invariants.check();
});

test("C6: an ack before its echo is not shown as applied, because others may come in between", async () => {
  const { clock, device, invariants } = await connected();
  device.gateway.mangle = (frame) => (frame.t === "ev" ? [{ frame, later_ms: 100 }] : once(frame));
  device.otherWrites(1);
  await device.engine.send(1, "mine");
  await clock.advance(50);
  assert.deepEqual(progress(device), ["chosen"]);
  assert.deepEqual(device.storage.rows, [], "acknowledged: nothing to send again after a reload");
  assert.equal(device.engine.outbox.waiting, 0);
  await clock.advance(200);
  assert.deepEqual(device.shown(1), ["from the other", "mine"]);
  assert.deepEqual(progress(device), []);
  invariants.check();
});

test("an echo before its ack ends the message; the ack then changes nothing", async () => {
  const { clock, device, invariants } = await connected();
  device.gateway.mangle = (frame) => (frame.t === "ack" ? [{ frame, later_ms: 100 }] : once(frame));
  await device.engine.send(1, "mine");
  await clock.advance(50);
  assert.deepEqual(device.shown(1), ["mine"]);
  assert.deepEqual(progress(device), []);
  await clock.advance(200);
  assert.deepEqual(device.shown(1), ["mine"]);
  invariants.check();
});

test("an acknowledged message that ends in a gap leaves the tail without being shown twice", async () => {
  const { clock, device, invariants } = await connected();
  device.gateway.mangle = (frame) => (frame.t === "ev" ? [] : once(frame));
  await device.engine.send(1, "mine");
  await clock.advance(50);
  assert.deepEqual(progress(device), ["chosen"]);
  device.gateway.mangle = once;
  device.gateway.cut();
  device.otherWrites(1, 600);
  await clock.advance(600);
  assert.equal(device.shown(1)[0], null, "it lies in the gap");
  assert.deepEqual(progress(device), []);
  invariants.check();
});

test("C2: a lost ack is no failure; the same cid is sent again and takes effect once", async () => {
  const { clock, device, invariants } = await connected();
  device.gateway.mangle = (frame) => (frame.t === "ack" || frame.t === "ev" ? [] : once(frame));
  await device.engine.send(1, "mine");
  await clock.advance(9_000);
  assert.deepEqual(progress(device), ["proposed"], "still sending, not failed");
  device.gateway.mangle = once;
  await clock.advance(2_000);
  const sends = device.gateway.heard.filter((frame) => frame.t === "send");
  assert.equal(sends.length, 2);
  assert.equal(new Set(sends.map((frame) => frame.cid)).size, 1);
  assert.deepEqual(own(device), ["mine"]);
  device.otherWrites(1);
  await clock.advance(1_000);
  assert.deepEqual(progress(device), []);
  invariants.check();
});

test("C2: cut at the worst moment and reloaded, the message is retried with the same cid", async () => {
  const { clock, device, invariants } = await connected();
  await device.engine.send(1, "mine");
  await clock.advance(6);
  device.gateway.cut();
  device.reload();
  await clock.advance(2_000);
  assert.deepEqual(own(device), ["mine"]);
  assert.deepEqual(device.shown(1), ["mine"]);
  assert.deepEqual(device.storage.rows, []);
  invariants.check();
});

test("one in flight per room, rooms independent, order kept", async () => {
  const { clock, device } = await connected([1, 2]);
  for (const body of ["a", "b", "c"]) await device.engine.send(1, body);
  await device.engine.send(2, "z");
  await clock.advance(6);
  const sends = () =>
    device.gateway.heard.flatMap((frame) => (frame.t === "send" ? [frame.body] : []));
  assert.deepEqual(sends(), ["a", "z"]);
  await clock.advance(200);
  assert.deepEqual(own(device, 1), ["a", "b", "c"]);
  assert.deepEqual(own(device, 2), ["z"]);
});

test("a permanent error fails the message, the next ones go on, retry says it anew", async () => {
  const { clock, device } = await connected();
  await device.engine.send(1, "refuse me");
  await device.engine.send(1, "take me");
  await clock.advance(200);
  assert.deepEqual(progress(device), ["failed"]);
  assert.deepEqual(own(device), ["take me"]);
  const cid = device.engine.outbox.entries[0]?.stored.cid ?? "";
  assert.deepEqual(
    device.storage.rows.map((row) => row.failure?.code),
    ["not_member"],
    "survives a reload as failed",
  );
  device.reload();
  await clock.advance(200);
  assert.deepEqual(progress(device), ["failed"]);
  await device.engine.outbox.retry(cid);
  await clock.advance(200);
  const sent = device.gateway.heard.flatMap((frame) =>
    frame.t === "send" && frame.body === "refuse me" ? [frame.cid] : [],
  );
  // The answer to the first cid stands for ever: a late copy of it must not take effect.
  assert.equal(sent.length, 2);
  assert.equal(sent[0], cid);
  assert.notEqual(sent[1], cid);
  assert.deepEqual(
    device.storage.rows.map((row) => row.cid),
    [sent[1]],
    "one of the two is kept",
  );
  device.engine.outbox.dismiss(sent[1] ?? "");
  await clock.advance(10);
  assert.deepEqual(device.storage.rows, []);
});

test("C7: without a quorum messages wait, in order, and leave at once when it is back", async () => {
  const { clock, device, invariants } = await connected();
  device.cluster.quorum = false;
  device.gateway.announce();
  for (const body of ["a", "b", "c"]) await device.engine.send(1, body);
  await clock.advance(120_000);
  assert.deepEqual(progress(device), ["queued", "queued", "queued"]);
  assert.equal(device.engine.outbox.waiting, 3);
  assert.equal(device.engine.cluster?.quorum, false);
  assert.deepEqual(own(device), []);
  device.cluster.quorum = true;
  device.gateway.announce();
  await clock.advance(200);
  assert.deepEqual(own(device), ["a", "b", "c"]);
  assert.deepEqual(progress(device), []);
  invariants.check();
});

test("rate_limited waits as long as it is told", async () => {
  const { clock, device } = await connected();
  let refusals = 1;
  device.gateway.mangle = (frame) => {
    if (frame.t !== "ack" || refusals === 0) return once(frame);
    refusals -= 1;
    return once({
      t: "err",
      ref: frame.cid,
      code: "rate_limited",
      message: "",
      temporary: true,
      retry_ms: 3_000,
    });
  };
  device.gateway.mangle = ((inner) => (frame: ServerFrame) =>
    frame.t === "ev" ? [] : inner(frame))(device.gateway.mangle);
  await device.engine.send(1, "mine");
  await clock.advance(2_900);
  assert.equal(device.gateway.heard.filter((frame) => frame.t === "send").length, 1);
  await clock.advance(200);
  assert.equal(device.gateway.heard.filter((frame) => frame.t === "send").length, 2);
});

test("a message that the device cannot keep is refused to the writer's face", async () => {
  const { device } = await connected();
  device.storage.full = true;
  await assert.rejects(device.engine.send(1, "mine"));
  assert.deepEqual(progress(device), [], "not shown as queued when it is not durable");
  device.storage.full = false;
  await device.engine.send(1, "again");
  assert.equal(progress(device).length, 1);
});

test("a request survives a lost connection and keeps its cid", async () => {
  const { clock, device } = await connected();
  const joined = device.engine.joinRoom(1);
  device.gateway.cut();
  await clock.advance(2_000);
  assert.equal(await joined, 1);
  const cids = device.gateway.heard.flatMap((frame) => (frame.t === "join" ? [frame.cid] : []));
  assert.equal(new Set(cids).size, 1);
});

test("members: who comes and goes is counted once, also over a reconnect", async () => {
  const { clock, device } = await connected();
  const members = () => device.engine.rooms.get(1)?.members;
  const author = { id: 9, name: "Cai" };
  const ev = { seq: 1, slot: 1, ts: 0, author, kind: "joined" as const };
  device.cluster.events(1).push(ev);
  device.gateway.push({ t: "ev", room: 1, ev });
  device.gateway.push({ t: "ev", room: 1, ev });
  await clock.advance(50);
  assert.equal(members(), 3);
  device.gateway.cut();
  await clock.advance(600);
  assert.equal(members(), 2, "what `ready` says counts, and it contains the replay");
});

test("a new epoch: the restored cluster may lack a tail, so everything starts over", async () => {
  const { clock, device } = await connected();
  device.otherWrites(1, 5);
  await clock.advance(50);
  device.cluster.events(1).splice(3);
  device.cluster.epoch = 2;
  device.gateway.cut();
  await clock.advance(1_000);
  assert.equal(device.shown(1).length, 3);
  assert.equal(device.engine.rooms.get(1)?.log.last, 3);
});
