// Goal: the connection comes back by itself, soon but never in step with others; notices a dead
// path; and stops when, and only when, the close code says so.

import assert from "node:assert/strict";
import test from "node:test";

import { backoffMs } from "../src/socket/backoff.ts";
import { HANDSHAKE_MS_MAX, PROBE_MS_MAX, SILENCE_MS_MAX } from "../src/socket/connection.ts";
import { FakeClock } from "./fakes/clock.ts";
import { Device } from "./fakes/device.ts";

async function connected(): Promise<{ clock: FakeClock; device: Device }> {
  const clock = new FakeClock();
  const device = new Device(clock);
  device.engine.start();
  await clock.advance(100);
  assert.equal(device.engine.status.kind, "ready");
  return { clock, device };
}

test("back-off: the first try within 500 ms, then full jitter doubling to 30 s", () => {
  const almost_one = () => 0.9999999;
  const ceilings = [0, 1, 2, 3, 4, 5, 6, 7, 5_000].map(
    (attempt) => Math.ceil(backoffMs(attempt, almost_one) / 100) * 100,
  );
  assert.deepEqual(ceilings, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  assert.equal(
    backoffMs(3, () => 0),
    0,
    "full jitter reaches down to zero",
  );
});

test("a lost connection is back within 500 ms when the gateway answers", async () => {
  const { clock, device } = await connected();
  device.gateway.cut(1006);
  assert.equal(device.engine.status.kind, "waiting");
  await clock.advance(500 + 50);
  assert.equal(device.engine.status.kind, "ready");
});

test("close codes carry the verdict: 4000–4499 reconnect, 4500–4999 stop", async () => {
  for (const code of [1000, 1006, 1012, 4400, 4409, 4410, 4413, 4499]) {
    const { device } = await connected();
    device.gateway.cut(code);
    assert.equal(device.engine.status.kind, "waiting", `${code}`);
  }
  for (const code of [4500, 4501, 4503, 4999]) {
    const { clock, device } = await connected();
    device.gateway.cut(code, "why");
    await clock.advance(120_000);
    assert.deepEqual(device.engine.status, { kind: "stopped", code, reason: "why" });
    assert.equal(device.gateway.connections, 1, "no further attempt");
  }
});

test("35 s of silence mean that the path is dead; until then it is kept", async () => {
  const { clock, device } = await connected();
  device.gateway.silent = true;
  await clock.advance(SILENCE_MS_MAX - 200);
  assert.equal(device.gateway.connections, 1);
  await clock.advance(800);
  assert.equal(device.gateway.connections, 2);
});

test("any traffic keeps the connection alive, not only pongs", async () => {
  const { clock, device } = await connected();
  device.gateway.mangle = (frame) => (frame.t === "pong" ? [] : [{ frame, later_ms: 0 }]);
  for (let n = 0; n < 10; n += 1) {
    await clock.advance(20_000);
    device.otherWrites(1);
  }
  assert.equal(device.gateway.connections, 1);
});

test("after a wake-up a dead socket is found out at once, a living one is kept", async () => {
  const dead = await connected();
  dead.clock.sleep(3_600_000);
  dead.device.gateway.silent = true;
  dead.device.engine.probe();
  await dead.clock.advance(PROBE_MS_MAX + 600);
  assert.equal(dead.device.gateway.connections, 2);

  const alive = await connected();
  alive.device.engine.probe();
  await alive.clock.advance(PROBE_MS_MAX + 600);
  assert.equal(alive.device.gateway.connections, 1);
});

test("a wake-up does not wait for the back-off", async () => {
  const { clock, device } = await connected();
  device.gateway.reachable = false;
  device.gateway.cut();
  await clock.advance(120_000);
  device.gateway.reachable = true;
  device.engine.probe();
  if (device.engine.status.kind === "waiting") device.engine.probe();
  await clock.advance(50);
  assert.equal(device.engine.status.kind, "ready");
});

test("a gateway that accepts and then says nothing is given up", async () => {
  const clock = new FakeClock();
  const device = new Device(clock);
  device.gateway.silent = true;
  device.engine.start();
  await clock.advance(HANDSHAKE_MS_MAX + 600);
  assert.ok(device.gateway.connections >= 2);
});

test("bye: the old gateway serves until the moment that it named, then the client moves", async () => {
  const { clock, device } = await connected();
  device.gateway.push({ t: "bye", reason: "drain", after_ms: 3_000 });
  await clock.advance(2_900);
  assert.equal(device.gateway.connections, 1);
  device.otherWrites(1);
  await clock.advance(50);
  assert.equal(device.shown(1).length, 1, "still served");
  await clock.advance(200);
  assert.equal(device.gateway.connections, 2);
  assert.equal(device.engine.status.kind, "ready");
});

test("bye followed by the close: the client returns when it was told, not before", async () => {
  const { clock, device } = await connected();
  device.gateway.push({ t: "bye", reason: "drain", after_ms: 3_000 });
  await clock.advance(100);
  device.gateway.cut(4410, "drain");
  await clock.advance(2_500);
  assert.equal(device.gateway.connections, 1);
  await clock.advance(600);
  assert.equal(device.gateway.connections, 2);
});

test("an unknown frame is ignored, an unreadable one costs the connection", async () => {
  const { clock, device } = await connected();
  device.gateway.push({ t: "weather" } as never);
  await clock.advance(50);
  assert.equal(device.gateway.connections, 1);
  device.gateway.push("half a fra" as never);
  await clock.advance(600);
  assert.equal(device.gateway.connections, 2);
});

test("start carries what the client has seen: monotonic reads and a replay from there", async () => {
  const { clock, device } = await connected();
  device.otherWrites(1, 3);
  await clock.advance(50);
  device.gateway.cut();
  await clock.advance(600);
  const start = device.gateway.heard.findLast((frame) => frame.t === "start");
  assert.deepEqual(start, { t: "start", useq: 0, min_slot: 3, rooms: { 1: 3 } });
});

test("a page tells how new it is: no gateway may then tell of less", async () => {
  const { clock, device } = await connected();
  device.gateway.cut();
  device.otherWrites(1, 700);
  await clock.advance(600);
  device.cluster.slot = 5_000; // Others write in rooms that this person does not see.
  await device.engine.rooms.get(1)?.fillGap(1, "after");
  device.gateway.cut();
  await clock.advance(600);
  const start = device.gateway.heard.findLast((frame) => frame.t === "start");
  assert.equal(start?.t === "start" && start.min_slot, 5_000);
});

test("a gateway of another cluster, or a session of another person, ends the engine", async () => {
  const { clock, device } = await connected();
  device.gateway.mangle = (frame) => [
    {
      frame: frame.t === "ready" ? { ...frame, user: { ...frame.user, id: 99, name: "Eve" } } : frame,
      later_ms: 0,
    },
  ];
  device.gateway.cut();
  await clock.advance(600);
  assert.equal(device.strangers, 1);
  assert.equal(device.engine.status.kind, "stopped");

  const other = await connected();
  other.device.gateway.mangle = (frame) => [
    { frame: frame.t === "hello" ? { ...frame, cluster: "elsewhere" } : frame, later_ms: 0 },
  ];
  other.device.gateway.cut();
  await other.clock.advance(600);
  assert.equal(other.device.strangers, 1);
});
