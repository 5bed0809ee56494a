// The buttons of a demo: an admin breaks replicas, and everybody sees what becomes of it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdir } from "node:fs/promises";
import path from "node:path";

import { findings } from "./src/axe.mjs";
import { Cluster } from "./src/cluster.mjs";
import { launch, Person } from "./src/page.mjs";

const output = path.join(import.meta.dirname, "output");
let browser;
let cluster;
let owner;
let member;

before(async () => {
  await mkdir(output, { recursive: true });
  const env = { CHATTERBOX_REPLICA_DEMO: "true", CHATTERBOX_GATEWAY_DEMO: "true" };
  [browser, cluster] = await Promise.all([launch(), Cluster.start({ env })]);
  owner = await Person.open(browser, cluster, "owner");
  member = await Person.open(browser, cluster, "member");
});

after(async () => {
  await owner?.page.screenshot({ path: path.join(output, "last-demo-buttons.png") });
  await browser?.close();
  await cluster?.stop();
});

const summary = (person) => person.id("cluster-summary");
const row = (name) => owner.page.locator(`[data-testid="replica"][data-node="${name.slice(1)}"]`);

/** The names of the replicas that do not lead. */
async function followers() {
  const leader = await cluster.leader();
  return ["r1", "r2", "r3"].filter((name) => name !== leader);
}

/** All three serve and follow one leader. */
async function whole() {
  await summary(owner).filter({ hasText: /^3 of 3 replicas/ }).waitFor({ timeout: 30_000 });
  await cluster.leader();
}

test("an owner has buttons, a member has none and is refused", async () => {
  for (const person of [owner, member]) {
    await person.id("cluster-chip").click();
    await person.id("replica").first().waitFor();
  }
  await owner.id("demo-buttons").waitFor();
  assert.equal(await owner.page.locator('[data-testid^="demo-kill-"]').count(), 3);
  assert.equal(await member.id("demo-buttons").count(), 0);
  const status = await member.page.evaluate(async () => {
    const answer = await fetch("/api/v1/demo/1", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ fault: "kill" }),
    });
    return answer.status;
  });
  assert.equal(status, 403);
  assert.deepEqual(await findings(owner.page), []);
  await owner.page.screenshot({ path: path.join(output, "demo-buttons.png") });
});

test("a replica that is paused is missed, and comes back", async () => {
  const [paused] = await followers();
  await owner.id(`demo-pause-${paused}`).click();
  await summary(owner).filter({ hasText: /^2 of 3 replicas/ }).waitFor();
  await summary(member).filter({ hasText: /^2 of 3 replicas/ }).waitFor();
  await member.page.keyboard.press("Escape");
  await member.say("one stands still");
  await owner.sees("one stands still");
  await whole();
});

test("one that is cut off falls behind, and catches up", async () => {
  const [cut] = await followers();
  await owner.id(`demo-cut_off-${cut}`).click();
  const lag = (holds) =>
    owner.page.waitForFunction(
      ([node, wanted]) => {
        const cells = document.querySelectorAll(`[data-node="${node}"] td`);
        return Number(cells[4]?.textContent) > 0 === wanted;
      },
      [cut.slice(1), holds],
    );
  await member.say("one is cut off");
  await member.say("and hears nothing");
  await owner.sees("and hears nothing");
  await lag(true);
  await lag(false);
  await whole();
});

test("the leader is killed, another one leads, and the message that was under way is there", async () => {
  const killed = await cluster.leader();
  await owner.id(`demo-kill-${killed}`).click();
  await member.say("who leads now?");
  await owner.sees("who leads now?");
  await owner.id("cluster-timeline").filter({ hasText: "without a leader" }).waitFor();
  // It led; once it follows it has come back.
  const node = killed.slice(1);
  await owner.page.locator(`[data-node="${node}"][data-role="follower"]`).waitFor();
  await whole();
  const texts = (await member.messages()).map((message) => message.text);
  assert.equal(texts.filter((text) => text.includes("who leads now?")).length, 1);
});

test("the last one that may not fail is asked for twice", async () => {
  const [paused, other] = await followers();
  await owner.id(`demo-pause-${paused}`).click();
  await summary(owner).filter({ hasText: /^2 of 3 replicas/ }).waitFor();
  await owner.id(`demo-pause-${other}`).click();
  await owner.id("demo-words").filter({ hasText: "Nothing can be sent" }).waitFor();
  assert.equal(await row(other).getAttribute("data-role"), "follower");
  await owner.id(`demo-pause-${other}`).click();
  await summary(owner).filter({ hasText: "no quorum" }).waitFor();
  await whole();
});

test("no page reported an error", () => {
  assert.deepEqual([...owner.faults, ...member.faults], []);
});
