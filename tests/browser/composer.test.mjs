// The composer: names are completed, drafts stay on the device, writing never stops.

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
  // In the room, and silent: known only because the page asks who is there.
  bob = await Person.open(browser, cluster, "Bob Baker");
});

after(async () => {
  await alice?.page.screenshot({ path: path.join(output, "last-composer.png") });
  await browser?.close();
  await cluster?.stop();
});

const offers = (person) =>
  person.id("completion").locator("[role=option]").evaluateAll((nodes) =>
    nodes.map((node) => node.dataset.name),
  );
const text = (person) => person.id("composer").inputValue();

async function type(person, keys) {
  await person.id("composer").focus();
  await person.page.keyboard.type(keys);
}

test("@ offers the people of the room, # the rooms, : emoji; Tab and Enter take them", async () => {
  await type(alice, "hello @ba");
  await alice.id("completion").locator('[data-name="Bob Baker"]').waitFor();
  await alice.page.screenshot({ path: path.join(output, "completion.png") });
  await alice.page.keyboard.press("Tab");
  assert.equal(await text(alice), "hello @Bob Baker ");

  await alice.page.keyboard.type("see #gen");
  assert.deepEqual(await offers(alice), ["general"]);
  await alice.page.keyboard.press("Enter");
  assert.equal(await text(alice), "hello @Bob Baker see #general ");

  await alice.page.keyboard.type(":tad");
  await alice.id("completion").locator('[data-name="tada"]').waitFor();
  await alice.id("completion").locator('[data-name="tada"]').click();
  assert.equal(await text(alice), "hello @Bob Baker see #general 🎉 ");
  await alice.page.keyboard.press("Enter");
  await bob.sees("🎉");
  await bob.say("I am here");
  await alice.sees("I am here");
  assert.equal(await text(alice), "", "with the list closed Enter sends");
});

test("the arrows choose, Escape closes and sends nothing, a name in a word offers nothing", async () => {
  await type(alice, "@");
  await alice.id("completion").waitFor();
  const all = await offers(alice);
  assert.deepEqual([...all].sort(), ["Bob Baker", "alice", "room"]);
  await alice.page.keyboard.press("ArrowDown");
  const selected = alice.id("completion").locator('[aria-selected="true"]');
  assert.equal(await selected.getAttribute("data-name"), all[1]);
  assert.equal(
    await alice.id("composer").getAttribute("aria-activedescendant"),
    await selected.getAttribute("id"),
  );
  await alice.page.keyboard.press("Escape");
  assert.equal(await alice.id("completion").count(), 0);
  assert.equal(await text(alice), "@");
  await alice.id("composer").fill("");
  await type(alice, "me@al");
  assert.equal(await alice.id("completion").count(), 0);
  await alice.id("composer").fill("");
});

test("a name that was typed in full is sent with one Enter", async () => {
  await type(alice, "for #general");
  assert.deepEqual(await offers(alice), ["general"]);
  await alice.page.keyboard.press("Enter");
  await bob.sees("for #general");
  assert.equal(await text(alice), "");
});

test("while an input method composes, Enter belongs to it", async () => {
  const before = (await alice.messages()).length;
  await alice.id("composer").fill("にほん");
  await alice.id("composer").evaluate((field) => {
    const press = { key: "Enter", bubbles: true, cancelable: true };
    field.dispatchEvent(new KeyboardEvent("keydown", { ...press, isComposing: true }));
    field.dispatchEvent(new KeyboardEvent("keydown", { ...press, keyCode: 229 }));
  });
  assert.equal((await alice.messages()).length, before);
  assert.equal(await text(alice), "にほん");
  await alice.id("composer").fill("");
});

test("each room has its draft, also after a reload", async () => {
  await alice.id("composer").fill("for general");
  await alice.createRoom("plans");
  assert.equal(await text(alice), "");
  await alice.id("composer").fill("for plans");
  await alice.enter("general");
  assert.equal(await text(alice), "for general");
  await alice.page.reload();
  await alice.id("composer").waitFor();
  await alice.enter("plans");
  assert.equal(await text(alice), "for plans");
  await alice.enter("general");
  assert.equal(await text(alice), "for general");
  await alice.id("composer").fill("");
});

test("without the gateway one writes on, and names are still offered", async () => {
  await cluster.pause("gateway-1");
  await type(alice, "offline @Bo");
  await alice.id("completion").locator('[data-name="Bob Baker"]').waitFor();
  assert.equal(await alice.id("composer").isEditable(), true);
  await alice.page.keyboard.press("Escape");
  await alice.page.keyboard.press("Enter");
  await alice.sees("offline @Bo");
  await cluster.resume("gateway-1");
  await bob.sees("offline @Bo", 40_000);
});

test("no page reported an error", () => {
  assert.deepEqual(alice.faults, []);
  assert.deepEqual(bob.faults, []);
});
