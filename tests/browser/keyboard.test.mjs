// Everything by keyboard: the palette, the help, rooms, unread rooms, regions, the cluster.

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
  for (const name of ["alpha", "beta"]) {
    await alice.createRoom(name);
    await bob.joinRoom(name);
  }
  await bob.say("hello from bob");
  await alice.sees("hello from bob");
});

after(async () => {
  await alice?.page.screenshot({ path: path.join(output, "last-keyboard.png") });
  await browser?.close();
  await cluster?.stop();
});

const press = (keys) => alice.page.keyboard.press(keys);
const open = () =>
  alice.page.locator('[data-testid="room-item"][aria-current]').getAttribute("data-room-name");
const region = () =>
  alice.page.evaluate(() => document.activeElement?.closest("[data-region]")?.dataset.region);

async function opens(name) {
  await alice.page.locator(`[data-room-name="${name}"][aria-current]`).waitFor();
}

test("Ctrl+K goes to a room by a few letters, from anywhere, and closes again", async () => {
  await press("Control+k");
  await alice.page.keyboard.type("alph");
  await alice.page.screenshot({ path: path.join(output, "palette.png") });
  await press("Enter");
  await opens("alpha");
  assert.equal(await alice.id("palette").count(), 0);
  await press("Control+k");
  await alice.id("palette").waitFor();
  await press("Control+k");
  await alice.id("palette").waitFor({ state: "detached" });
});

test("Ctrl+K knows people and commands", async () => {
  await press("Control+k");
  await alice.page.keyboard.type("bob");
  await press("Enter");
  await alice.page.locator("h1", { hasText: "bob" }).waitFor();
  await alice.say("only to you");
  await bob.room("alice").and(bob.page.locator('[data-mentions="1"]')).waitFor();
  await press("Control+k");
  await alice.page.keyboard.type("new room");
  await press("Enter");
  await alice.id("new-room-name").waitFor();
  await press("Escape");
});

test("Alt+arrows go through the rooms, with Shift only through the unread ones", async () => {
  await alice.enter("alpha");
  await press("Alt+ArrowDown");
  await opens("beta");
  await press("Alt+ArrowUp");
  await opens("alpha");
  await bob.enter("general");
  await bob.say("look here");
  await alice.page.locator('[data-room-name="general"][data-unread="true"]').waitFor();
  await press("Alt+Shift+ArrowUp");
  await opens("general");
});

test("Esc marks the open room as read, wherever the focus is", async () => {
  for (let line = 1; line <= 30; line += 1) await bob.say(`line ${line}`);
  await alice.sees("line 30");
  await alice.id("history").evaluate((element) => {
    element.scrollTop = 0;
  });
  await alice.id("jump-latest").waitFor();
  await bob.say("below");
  await alice.page.locator('[data-room-name="general"][data-unread="true"]').waitFor();
  await alice.room("general").focus();
  await press("Escape");
  await alice.page.locator('[data-room-name="general"][data-unread="false"]').waitFor();
  await alice.id("jump-latest").waitFor({ state: "detached" });
});

test("the wheel leads back from the end, with the pointer over the rows", async () => {
  for (let line = 1; line <= 30; line += 1) await alice.say(`read back ${line}`);
  await alice.sees("read back 30");
  // What the pointer is over is drawn anew, before the page hears that it was scrolled.
  await alice.id("message").last().hover();
  await alice.page.mouse.wheel(0, -600);
  await alice.id("jump-latest").waitFor();
  await alice.id("jump-latest").click();
  await alice.id("jump-latest").waitFor({ state: "detached" });
});

test("Esc in the right panel closes it, and marks nothing as read", async () => {
  await alice.id("history").evaluate((element) => {
    element.scrollTop = 0;
  });
  await alice.id("jump-latest").waitFor();
  await bob.say("not seen yet");
  await alice.page.locator('[data-room-name="general"][data-unread="true"]').waitFor();
  await alice.id("search").click();
  await alice.id("side-panel").waitFor();
  await alice.id("close-panel").focus();
  await press("Escape");
  await alice.id("side-panel").waitFor({ state: "detached" });
  assert.equal(await alice.room("general").getAttribute("data-unread"), "true");
  await alice.id("composer").focus();
  await press("Escape");
  await alice.page.locator('[data-room-name="general"][data-unread="false"]').waitFor();
});

test("F6 goes through the regions, Ctrl+. shows the cluster, Ctrl+/ the help", async () => {
  await alice.id("composer").focus();
  const seen = [];
  for (let step = 0; step < 3; step += 1) {
    await press("F6");
    seen.push(await region());
  }
  assert.deepEqual([...new Set(seen)].sort(), ["composer", "history", "rooms"]);
  await press("Control+.");
  await alice.id("replica").first().waitFor();
  await press("Escape");
  await alice.id("replica").first().waitFor({ state: "detached" });
  await press("Control+/");
  await alice.id("help").waitFor();
  await alice.page.screenshot({ path: path.join(output, "help.png") });
  await press("Escape");
  await alice.id("help").waitFor({ state: "detached" });
  assert.equal(await open(), "general");
});

test("no page reported an error", () => {
  assert.deepEqual(alice.faults, []);
  assert.deepEqual(bob.faults, []);
});
