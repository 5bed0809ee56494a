// Search over what a person may see: found soon after it was said, highlighted, in pages, and a
// way into the place; nothing of rooms that one is not in, nothing that was deleted.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdir, readdir, rm } from "node:fs/promises";
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
  bob = await Person.open(browser, cluster, "bob", { colorScheme: "dark" });
});

after(async () => {
  for (const person of [alice, bob]) await shoot(person, "search-last");
  await browser?.close();
  await cluster?.stop();
});

async function shoot(person, what) {
  await person?.page.screenshot({ path: path.join(output, `${what}-${person.name}.png`) });
}

async function ask(person, question) {
  if ((await person.id("search-field").count()) === 0) await person.id("search").click();
  await person.id("search-field").fill(question);
  await person.id("search-field").press("Enter");
}

/** Asks until so many are found: the index is a moment behind. */
async function finds(person, question, count) {
  for (let attempt = 0; attempt < 30; attempt += 1) {
    await ask(person, question);
    await person.page.waitForTimeout(200);
    if ((await person.id("search-hit").count()) === count) return;
  }
  const texts = await person.id("search-hit").allTextContents();
  assert.fail(`${person.name} asks "${question}": ${JSON.stringify(texts)}`);
}

test("what was said is found, highlighted, with its room and author", async () => {
  await alice.say("The quorum came back at nine");
  await alice.createRoom("lab");
  await alice.enter("lab");
  await alice.say("a quorum of one is no Quorum");
  await finds(alice, "quorum", 2);
  const marks = await alice.page.locator('[data-testid="search-hit"] mark').allTextContents();
  assert.deepEqual(marks, ["quorum", "Quorum", "quorum"]);
  await shoot(alice, "search");
  await finds(bob, "quorum", 1);
});

test("operators narrow, and a question without a word is explained", async () => {
  await finds(alice, "quorum in:lab", 1);
  await finds(alice, "quorum from:alice -nine", 1);
  await finds(alice, "quorum from:bob", 0);
  await finds(alice, "quorum after:2020-01-01", 2);
  await finds(alice, "quorum before:2020-01-01", 0);
  await ask(alice, "from:alice");
  await alice.id("side-panel").filter({ hasText: "At least one word is needed" }).waitFor();
});

test("a hit leads to its place in another room", async () => {
  await finds(alice, "nine", 1);
  await alice.id("search-hit").click();
  await alice.page.locator(".message-target").filter({ hasText: "back at nine" }).waitFor();
  await alice.page.locator('[data-testid="room-item"][data-room-name="general"][aria-current]').waitFor();
});

test("an edit is found by its new words, a deleted message not at all", async () => {
  await alice.enter("general");
  const row = (text) => alice.id("message").filter({ hasText: text }).last();
  await row("back at nine").hover();
  await row("back at nine").locator('[data-testid="action-edit"]').click();
  await alice.id("edit-field").fill("The majority came back at nine");
  await alice.id("edit-field").press("Enter");
  await finds(bob, "majority", 1);
  await finds(bob, "quorum", 0);
  await row("The majority").hover();
  await row("The majority").locator('[data-testid="action-delete"]').click();
  await row("The majority").locator('[data-testid="action-delete-really"]').click();
  await finds(bob, "majority", 0);
});

test("pages: more are loaded on demand, each once", async () => {
  for (let n = 1; n <= 25; n += 1) await alice.say(`needle ${n}`);
  await alice.sees("needle 25");
  // The index follows the log in batches: what it lacks while the first page is made comes above it.
  await finds(alice, '"needle 25"', 1);
  await finds(alice, "needle", 20);
  await alice.id("search-more").click();
  await alice.page.waitForFunction(
    () => document.querySelectorAll('[data-testid="search-hit"]').length === 25,
  );
  const seqs = await alice.id("search-hit").evaluateAll((nodes) =>
    nodes.map((node) => Number(node.dataset.seq)),
  );
  assert.equal(new Set(seqs).size, 25);
  await shoot(alice, "search-pages");
  await alice.page.setViewportSize({ width: 360, height: 740 });
  await shoot(alice, "search-phone");
  for (const person of [alice, bob]) assert.deepEqual(person.faults, []);
});

test("a replica without its index makes it anew", async () => {
  const files = await readdir(cluster.data, { recursive: true });
  const indexes = files.filter((file) => /search\.db/.test(file));
  assert.ok(indexes.length >= 3, `one per replica: ${indexes}`);
  for (const file of indexes) await rm(path.join(cluster.data, file));
  for (const replica of ["r1", "r2", "r3"]) {
    await cluster.kill(replica);
    await cluster.leader();
  }
  await finds(alice, "needle", 20);
});
