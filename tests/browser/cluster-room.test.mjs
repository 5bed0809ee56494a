// What happens to the replicas is seen in the chat: the room `#cluster` tells it and the chip
// follows, on a page that is never loaded again.

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
  bob = await Person.open(browser, cluster, "bob", { locale: "de-DE" });
  for (const person of [alice, bob]) {
    await person.page.evaluate(() => {
      // Gone when the page is loaded again.
      globalThis.chip_history = [];
      const chip = document.querySelector('[data-testid="cluster-chip"]');
      const note = () => globalThis.chip_history.push(Number(chip.dataset.up));
      new MutationObserver(note).observe(chip, { attributeFilter: ["data-up"] });
    });
  }
});

after(async () => {
  for (const person of [alice, bob]) await shoot(person, "last-room");
  await browser?.close();
  await cluster?.stop();
});

async function shoot(person, what) {
  await person?.page.screenshot({ path: path.join(output, `${what}-${person.name}.png`) });
}

/** What the room says, without the time of day. */
function lines(person) {
  return person.id("notice").evaluateAll((nodes) =>
    nodes.map((node) => ({ seq: Number(node.dataset.seq), text: node.firstChild.textContent })),
  );
}

async function tells(person, what, text, timeout = 20_000) {
  const line = person.page.locator(`[data-testid="notice"][data-what="${what}"]`);
  const wanted = line.filter({ hasText: text }).first();
  await wanted.waitFor({ timeout }).catch(async () => {
    const shown = (await lines(person)).map((one) => one.text);
    throw new Error(`${person.name} sees no "${text}": ${JSON.stringify(shown)}`);
  });
}

/** The chip shows so many replicas that answer. */
async function chipShows(person, up, timeout = 20_000) {
  const chip = `[data-testid="cluster-chip"][data-up="${up}"][data-voters="3"]`;
  await person.page.locator(chip).waitFor({ timeout });
}

test("the room is there for everybody, quiet, and nobody writes into it", async () => {
  for (const person of [alice, bob]) {
    const names = await person.id("room-item").evaluateAll((nodes) =>
      nodes.map((node) => node.dataset.roomName),
    );
    assert.deepEqual(names, ["general", "cluster"], "below the rooms of people");
    await person.enter("cluster");
    const leader = await cluster.leader();
    await tells(person, "elected", person === alice ? `${leader} leads` : `${leader} führt`);
    assert.equal(await person.id("composer").count(), 0);
    assert.equal(await person.id("leave-room").count(), 0);
    await person.enter("general");
  }
});

test("kill -9 of the leader: the line and the chip come by themselves, unread is nothing", async () => {
  await alice.enter("cluster");
  await tells(alice, "elected", "leads");
  const [before] = (await lines(alice)).slice(-1);
  const killed = await cluster.leader();
  await cluster.holdRestarts();
  await cluster.kill(killed);
  await alice.page.waitForFunction(
    (seq) =>
      [...document.querySelectorAll('[data-testid="notice"][data-what="elected"]')].some(
        (node) => Number(node.dataset.seq) > seq,
      ),
    before.seq,
    { timeout: 20_000 },
  );
  const after = (await lines(alice)).find((line) => line.seq > before.seq);
  assert.match(after.text, /^r\d leads \(ballot \d+\.\d\), [\d.]+ (ms|s) without a leader$/);
  for (const person of [alice, bob]) await chipShows(person, 2);
  cluster.restart();
  for (const person of [alice, bob]) await chipShows(person, 3);
  assert.equal(await bob.room("cluster").getAttribute("data-unread"), "false");
  assert.doesNotMatch(await bob.page.title(), /\(/, "the title counts no unread room");
  await shoot(alice, "room-elected");
});

test("a replica that hangs is silent, and heard again, in every language", async () => {
  const leader = await cluster.leader();
  const hangs = ["r1", "r2", "r3"].find((name) => name !== leader);
  await bob.enter("cluster");
  await cluster.pause(hangs);
  await chipShows(alice, 2);
  await tells(alice, "silent", `${hangs} has been silent for 2`);
  await tells(bob, "silent", `${hangs} schweigt seit 2`);
  await shoot(alice, "room-silent");
  await shoot(bob, "room-silent");
  await cluster.resume(hangs);
  await tells(alice, "heard", `${hangs} is heard again, after`);
  await tells(bob, "heard", `${hangs} ist wieder zu hören, nach`);
  await chipShows(bob, 3);
  await shoot(bob, "room-heard");
});

test("a voter is replaced by a standby: the room says so, and the chip follows", async () => {
  const leader = await cluster.leader();
  const drained = ["r1", "r2", "r3"].find((name) => name !== leader);
  const others = ["r1", "r2", "r3"].filter((name) => name !== drained);
  await cluster.addStandby();
  await cluster.node("drain", drained);
  // Its number is given by the log: nobody knows it before.
  await tells(alice, "voters", `${drained}`, 60_000);
  const told = (await lines(alice)).filter((line) => /epoch 2/.test(line.text)).at(-1);
  const standby = /r\d{4,}/.exec(told.text)?.[0];
  assert.ok(standby, told.text);
  for (const name of [...others, standby]) assert.match(told.text, new RegExp(`\\b${name}\\b`));
  await tells(bob, "voters", standby);
  await chipShows(alice, 3);
  await alice.enter("general");
  await alice.say("with another three");
  await bob.enter("general");
  await bob.sees("with another three");
  for (const person of [alice, bob]) await person.enter("cluster");
  await shoot(alice, "room-replaced");
});

test("both saw the same room, and no page was loaded again", async () => {
  const [hers, his] = [await lines(alice), await lines(bob)];
  assert.deepEqual(
    hers.map((line) => line.seq),
    his.map((line) => line.seq),
  );
  assert.deepEqual(
    hers.map((line) => line.seq),
    hers.map((_, index) => index + 1),
    "each line once, from the first on",
  );
  for (const person of [alice, bob]) {
    const history = await person.page.evaluate(() => globalThis.chip_history);
    assert.ok(Array.isArray(history), `${person.name}'s page is the one of the beginning`);
    assert.deepEqual(person.faults, []);
  }
});
