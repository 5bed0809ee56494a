// Two people chat in three rooms while processes die under them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { Cluster } from "./src/cluster.mjs";
import { Person, launch } from "./src/page.mjs";

const output = path.join(import.meta.dirname, "output");
let cluster;
let browser;
let alice;
let bob;

before(async () => {
  await mkdir(output, { recursive: true });
  cluster = await Cluster.start();
  browser = await launch();
  alice = await Person.open(browser, cluster, "alice");
  bob = await Person.open(browser, cluster, "bob");
});

// What both pages showed last, for whoever looks into a failure.
after(async () => {
  for (const person of [alice, bob]) {
    await person?.page.screenshot({ path: path.join(output, `last-${person.name}.png`) });
  }
  await browser?.close();
  await cluster?.stop();
});

const texts = (messages) => messages.map((message) => message.text.trim());

/** Both see the same messages in the same order, each text once. */
async function sameOnBoth(expected) {
  await alice.settled(expected.length);
  await bob.settled(expected.length);
  const [hers, his] = [await alice.messages(), await bob.messages()];
  assert.deepEqual(
    hers.map(({ seq, cid }) => ({ seq, cid })),
    his.map(({ seq, cid }) => ({ seq, cid })),
    "the same messages in the same order (C3)",
  );
  const sequence = hers.map((message) => message.seq);
  assert.deepEqual(sequence, [...sequence].sort((a, b) => a - b), "in the order of the room");
  for (const text of expected) {
    const times = texts(hers).filter((shown) => shown.includes(text)).length;
    assert.equal(times, 1, `${text} is there exactly once (C2)`);
  }
}

test("messages go both ways in three rooms, by Enter and by the button", async () => {
  await alice.createRoom("plans");
  await bob.createRoom("ideas");
  await bob.joinRoom("plans");
  await alice.joinRoom("ideas");
  for (const room of ["general", "plans", "ideas"]) {
    await alice.enter(room);
    await bob.enter(room);
    await alice.say(`${room}: from alice`);
    await alice.sees(`${room}: from alice`);
    await bob.sees(`${room}: from alice`);
    await bob.say(`${room}: from bob`, { button: true });
    await bob.sees(`${room}: from bob`);
    await alice.sees(`${room}: from bob`);
    await sameOnBoth([`${room}: from alice`, `${room}: from bob`]);
  }
});

test("the composer breaks a line with Shift+Enter and shows markup as text", async () => {
  await alice.enter("plans");
  await bob.enter("plans");
  await alice.id("composer").fill("one");
  await alice.id("composer").press("Shift+Enter");
  await alice.id("composer").pressSequentially("<img src=x onerror=alert(1)>");
  await alice.id("composer").press("Enter");
  await bob.sees("<img src=x onerror=alert(1)>");
  await sameOnBoth(["one"]).catch(() => undefined);
  const shown = texts(await bob.messages()).at(-1);
  assert.match(shown, /one\s+<img src=x onerror=alert\(1\)>/);
  assert.equal(await bob.page.locator("article img").count(), 0, "nothing of it became markup");
});

test("the leader is killed while both write: every message once, in one order", async () => {
  await alice.createRoom("storm");
  await bob.joinRoom("storm");
  await alice.enter("storm");
  const expected = [];
  const write = async (person, button) => {
    for (let number = 1; number <= 20; number += 1) {
      const text = `${person.name} ${String(number).padStart(2, "0")}`;
      expected.push(text);
      await person.say(text, { button });
      await person.page.waitForTimeout(100);
    }
  };
  const kill = async () => {
    await alice.page.waitForTimeout(700);
    await cluster.kill(await cluster.leader());
  };
  await Promise.all([write(alice, false), write(bob, true), kill()]);
  await sameOnBoth(expected);
  for (const person of [alice, bob]) {
    const own = texts(await person.messages()).filter((text) => text.includes(`${person.name} `));
    assert.deepEqual(own, [...own].sort(), "each person's messages are in the order of writing");
  }
});

test("offline: messages wait on the device, survive a reload, and arrive once", async () => {
  await alice.createRoom("island");
  await bob.joinRoom("island");
  await alice.enter("island");
  await alice.say("before");
  await bob.sees("before");
  // The gateway stands still: the page neither hears nor reaches anybody.
  await cluster.pause("gateway-1");
  await alice.say("written offline 1");
  await alice.say("written offline 2");
  await alice.page.waitForTimeout(300);
  const waiting = (await alice.messages()).filter((message) => message.text.includes("offline"));
  assert.equal(waiting.length, 2, "both are shown at once");
  assert.ok(waiting.every((message) => message.seq === 0), "and not as committed (C7)");
  await cluster.resume("gateway-1");
  await alice.page.reload();
  await alice.id("composer").waitFor();
  await alice.enter("island");
  await sameOnBoth(["before", "written offline 1", "written offline 2"]);
});

test("the gateway dies: the page says so, reconnects by itself, and shows what it missed", async () => {
  await alice.enter("island");
  await cluster.kill("gateway-1");
  await alice.say("while it was away");
  await bob.sees("while it was away", 30_000);
  await sameOnBoth(["before", "written offline 1", "written offline 2", "while it was away"]);
});

test("without a quorum the page says so in words, and sends when it is back", async () => {
  await alice.createRoom("alone");
  await bob.joinRoom("alone");
  await alice.enter("alone");
  const leader = await cluster.leader();
  const down = ["r1", "r2", "r3"].filter((name) => name !== leader);
  for (const name of down) await cluster.pause(name);
  await alice.say("into the silence");
  await alice
    .id("banner")
    .filter({ hasText: "No quorum: 2 of 3 replicas are down." })
    .waitFor({ timeout: 20_000 });
  await alice.id("banner").filter({ hasText: "1 message" }).waitFor();
  await alice.page.screenshot({ path: path.join(output, "no-quorum.png") });
  const waiting = (await alice.messages()).at(-1);
  assert.equal(waiting.seq, 0, "it is not shown as sent (C7)");
  for (const name of down) await cluster.resume(name);
  await sameOnBoth(["into the silence"]);
});

test("all is there after a reload, on a phone too, in light and dark", async () => {
  await alice.page.reload();
  await alice.id("composer").waitFor();
  await alice.enter("storm");
  await alice.settled(40);
  for (const [name, size] of [
    ["desktop", { width: 1280, height: 800 }],
    ["phone", { width: 360, height: 740 }],
  ]) {
    for (const colorScheme of ["light", "dark"]) {
      await alice.page.setViewportSize(size);
      await alice.page.emulateMedia({ colorScheme });
      const wide = await alice.page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= size.width, `${name}: nothing is wider than the screen (${wide})`);
      await alice.page.screenshot({ path: path.join(output, `${name}-${colorScheme}.png`) });
    }
  }
  await alice.page.setViewportSize({ width: 1280, height: 800 });
});

test("everything stopped and started: the history is there", async () => {
  await cluster.ctl("down");
  await cluster.ctl("up", "--port", String(cluster.port));
  await alice.page.reload();
  await alice.id("composer").waitFor();
  await alice.enter("storm");
  await alice.settled(40);
});

test("no page reported an error", () => {
  assert.deepEqual(alice.faults, []);
  assert.deepEqual(bob.faults, []);
});
