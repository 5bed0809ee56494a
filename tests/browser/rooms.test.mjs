// Rooms in the page: private ones, direct ones, what changes a room and who is in it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Cluster } from "./src/cluster.mjs";
import { launch, Person } from "./src/page.mjs";

let browser;
let cluster;
let ada;
let bob;
let eve;

before(async () => {
  [browser, cluster] = await Promise.all([launch(), Cluster.start()]);
  ada = await Person.open(browser, cluster, "Ada");
  bob = await Person.open(browser, cluster, "Bob");
  eve = await Person.open(browser, cluster, "Eve");
});

after(async () => {
  for (const person of [ada, bob, eve]) assert.deepEqual(person?.faults ?? [], []);
  await browser?.close();
  await cluster?.stop();
});

test("a private room is there for those who are added, and for nobody else", async () => {
  await ada.id("new-room").click();
  await ada.id("new-room-name").fill("plans");
  await ada.id("new-room-private").check();
  await ada.id("new-room-submit").click();
  await ada.room("plans").waitFor();
  await ada.say("nobody knows");
  await ada.id("room-settings").click();
  await ada.id("add-member").click();
  await ada.page.locator('[data-testid="choose-person"][data-person="Bob"]').click();
  await ada.page.locator('[data-testid="members"] [data-person="Bob"]').waitFor();
  await bob.enter("plans");
  await bob.sees("nobody knows");

  await eve.id("browse-rooms").click();
  await eve.page.locator(".browse-list", { hasText: "general" }).waitFor();
  assert.equal(await eve.page.locator(".browse-list", { hasText: "plans" }).count(), 0);
  await eve.page.keyboard.press("Escape");
  const room = /rooms\/(\d+)/.exec(ada.page.url())[1];
  const statuses = await eve.page.evaluate(
    (id) =>
      Promise.all(
        ["events", "members"].map(
          async (what) => (await fetch(`/api/v1/rooms/${id}/${what}`)).status,
        ),
      ),
    room,
  );
  assert.deepEqual(statuses, [404, 404]);

  // Put out again, the room is gone at once.
  await ada.page
    .locator('[data-person="Bob"] [data-testid="remove-member"]')
    .click();
  await bob.room("plans").waitFor({ state: "detached" });
  await ada.page.keyboard.press("Escape");
});

test("the same two people have one direct room, and it is called by the other one", async () => {
  for (const [from, to] of [
    [ada, "Eve"],
    [eve, "Ada"],
  ]) {
    await from.id("new-direct").click();
    await from.page.locator(`[data-testid="choose-person"][data-person="${to}"]`).click();
    await from.id("open-direct").click();
    await from.page.locator("h1", { hasText: to }).waitFor();
  }
  await ada.say("only you");
  await eve.sees("only you");
  assert.equal(ada.page.url(), eve.page.url());
  assert.equal(await bob.room("Ada").count(), 0);
});

test("topic, name and archive are seen by others at once", async () => {
  await ada.createRoom("lab");
  await bob.joinRoom("lab");
  await ada.id("room-settings").click();
  await ada.id("room-topic").fill("what we do here");
  await ada.id("room-new-name").fill("labor");
  await ada.id("room-save").click();
  await bob.room("labor").waitFor();
  await bob.page.locator(".bar-heading", { hasText: "what we do here" }).waitFor();
  await ada.id("archive-room").click();
  await bob.page.locator(".bar-heading", { hasText: "archived" }).waitFor();
  await bob.say("too late");
  await bob.page.getByText("Retry").waitFor();
});

test("whoever leaves a room has it no more, and joins it again by the letters of its name", async () => {
  await bob.id("new-room").click();
  await bob.id("new-room-name").fill("tea-kitchen");
  await bob.id("new-room-submit").click();
  await bob.room("tea-kitchen").waitFor();
  await bob.say("the kettle is on");
  await eve.page.keyboard.press("Control+k");
  await eve.id("palette-field").fill("tea");
  await eve.page.locator('[role="option"]', { hasText: "tea-kitchen" }).click();
  await eve.sees("the kettle is on");
  await eve.id("room-settings").click();
  await eve.id("leave-room").click();
  await eve.room("tea-kitchen").waitFor({ state: "detached" });
  await eve.page.locator("h1", { hasText: "tea-kitchen" }).waitFor({ state: "detached" });
  await bob.page.locator('[data-testid="history"]', { hasText: "Eve left" }).waitFor();
  await eve.page.keyboard.press("Control+k");
  await eve.id("palette-field").fill("tea");
  // What can be joined is asked for when the palette opens: a person presses when it is there.
  await eve.page.locator('[role="option"][aria-selected="true"]', { hasText: "tea-kitchen" }).waitFor();
  await eve.page.keyboard.press("Enter");
  await eve.sees("the kettle is on");
});
