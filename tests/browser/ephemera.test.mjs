// Who writes and who is there, in two browsers; and what the icon of the page says.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { findings } from "./src/axe.mjs";
import { Cluster } from "./src/cluster.mjs";
import { launch, Person } from "./src/page.mjs";

let browser;
let cluster;
let ada;
let bob;
let eve;

before(async () => {
  [browser, cluster] = await Promise.all([launch(), Cluster.start({ gateways: 2 })]);
  ada = await Person.open(browser, cluster, "Ada");
  // At the other gateway: what it knows of Ada comes through the replicas.
  bob = await Person.open(browser, cluster, "Bob", { address: cluster.urls[1] });
  eve = await Person.open(browser, cluster, "Eve");
});

after(async () => {
  for (const person of [ada, bob, eve]) assert.deepEqual(person?.faults ?? [], []);
  await browser?.close();
  await cluster?.stop();
});

const line = (person) => person.page.locator('[data-testid="typing"][data-quiet="false"]');

test("who writes is seen at the other gateway until the message is there, and nothing moves", async () => {
  await ada.say("first");
  await bob.sees("first");
  const place = () => bob.id("message").last().boundingBox();
  const before = await place();
  await ada.id("composer").pressSequentially("well, then", { delay: 40 });
  await line(bob).filter({ hasText: "Ada is typing…" }).waitFor();
  assert.deepEqual(await place(), before, "the line has a place of its own");
  const spoken = bob.page.locator('[aria-live="polite"]');
  assert.equal(await spoken.textContent(), "Ada is typing…");
  await line(eve).filter({ hasText: "Ada" }).waitFor();
  assert.equal(await line(ada).count(), 0, "oneself is not told");
  assert.deepEqual(await findings(bob.page), []);
  await ada.id("composer").press("Enter");
  await bob.sees("well, then");
  await line(bob).waitFor({ state: "detached" });
});

test("it ends by itself, and in a private room others see nothing of it", async () => {
  await ada.id("new-room").click();
  await ada.id("new-room-name").fill("plans");
  await ada.id("new-room-private").check();
  await ada.id("new-room-submit").click();
  await ada.room("plans").waitFor();
  await ada.id("room-settings").click();
  await ada.id("add-member").click();
  await ada.page.locator('[data-testid="choose-person"][data-person="Bob"]').click();
  await bob.enter("plans");
  await ada.page.keyboard.press("Escape");
  const heard = [];
  const socket = eve.page.waitForEvent("websocket");
  await eve.page.reload();
  (await socket).on("framereceived", ({ payload }) => heard.push(String(payload)));
  await eve.id("composer").waitFor();
  await ada.id("composer").pressSequentially("secret", { delay: 30 });
  await line(bob).filter({ hasText: "Ada is typing…" }).waitFor();
  await line(bob).waitFor({ state: "detached", timeout: 8_000 });
  assert.deepEqual(heard.filter((frame) => frame.includes('"typing"')), []);
});

test("dots say who is there, in words as well, and follow who comes and goes", async () => {
  await ada.enter("general");
  await ada.id("room-settings").click();
  const dot = (name) =>
    ada.page.locator(`[data-testid="members"] [data-person="${name}"] [data-testid="presence"]`);
  for (const name of ["Ada", "Bob", "Eve"])
    await ada.page
      .locator(`[data-person="${name}"] [data-presence="online"]`, { hasText: "online" })
      .waitFor();
  await eve.context.close();
  eve = undefined;
  await ada.page
    .locator('[data-person="Eve"] [data-presence="offline"]')
    .waitFor({ timeout: 15_000 });
  assert.equal(await dot("Bob").getAttribute("title"), "online");
  await ada.page.keyboard.press("Escape");
});

test("a direct room has the dot of the other one", async () => {
  await ada.id("new-direct").click();
  await ada.page.locator('[data-testid="choose-person"][data-person="Bob"]').click();
  await ada.id("open-direct").click();
  await ada.room("Bob").locator('[data-presence="online"]').waitFor();
});

test("the icon counts mentions, and what else is unread is a dot", async () => {
  await bob.enter("plans");
  const icon = () => bob.page.locator('link[rel="icon"]').getAttribute("href");
  const becomes = (href) =>
    bob.page.waitForFunction(
      (wanted) => document.querySelector('link[rel="icon"]').getAttribute("href") === wanted,
      href,
    );
  await becomes("/favicon.svg");
  await ada.enter("general");
  await ada.say("for everybody who reads");
  await becomes("/favicon-unread.svg");
  await ada.say("@Bob once");
  await becomes("/favicon-1.svg");
  await ada.say("@Bob twice");
  await becomes("/favicon-2.svg");
  const answer = await bob.page.request.get(`${cluster.urls[1]}${await icon()}`);
  assert.equal(answer.headers()["content-type"], "image/svg+xml");
  await bob.enter("general");
  await bob.sees("@Bob twice");
  await becomes("/favicon.svg");
});
