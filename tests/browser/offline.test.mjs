// The page without a network: it starts, shows the rooms and the outbox, and sends later.

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
  await alice.createRoom("plans");
  await bob.joinRoom("plans");
  await alice.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
});

after(async () => {
  await alice?.page.screenshot({ path: path.join(output, "last-offline.png") });
  await browser?.close();
  await cluster?.stop();
});

/** The shell, the rooms last seen, and a composer that takes a message. */
async function startsWithout(text) {
  await alice.page.reload();
  await alice.id("composer").waitFor({ timeout: 20_000 });
  for (const name of ["general", "plans"]) await alice.room(name).waitFor();
  await alice.room("plans").click();
  await alice.say(text);
  await alice.sees(text);
  const own = (await alice.messages()).filter((message) => message.text.includes(text));
  assert.deepEqual(own.map((message) => message.seq), [0], "and not as committed (C7)");
  await alice.id("banner").filter({ hasText: "Reconnecting…" }).waitFor();
}

test("with the cluster down the page starts, and keeps what is written over a reload", async () => {
  await alice.room("plans").click();
  await alice.say("before");
  await bob.sees("before");
  await cluster.ctl("down");
  await startsWithout("written without a cluster");
  await alice.page.screenshot({ path: path.join(output, "offline.png") });
  await alice.page.reload();
  await alice.sees("written without a cluster", 20_000);
  await cluster.ctl("up", "--port", String(cluster.port));
  await bob.sees("written without a cluster", 60_000);
  await alice.settled(2, 60_000);
  await alice.id("banner").filter({ hasText: "Reconnecting…" }).waitFor({ state: "detached" });
});

test("with a gateway that hangs the page starts all the same", async () => {
  await cluster.pause("gateway-1");
  await startsWithout("written beside a hanging gateway");
  await cluster.resume("gateway-1");
  await bob.sees("written beside a hanging gateway", 60_000);
  await alice.settled(3, 60_000);
});

test("nothing that people wrote is in the worker's cache", async () => {
  const kept = await alice.page.evaluate(async () => {
    const names = await caches.keys();
    const all = await Promise.all(
      names.map(async (name) => (await (await caches.open(name)).keys()).map((one) => one.url)),
    );
    return all.flat().map((url) => new URL(url).pathname);
  });
  assert.ok(kept.includes("/"), kept.join());
  for (const name of kept)
    assert.match(name, /^\/(?:$|assets\/|favicon|manifest\.webmanifest$)/, name);
});

test("after signing out the next start asks who one is", async () => {
  await bob.id("sign-out").click();
  await bob.id("sign-out-confirm").click();
  await bob.id("sign-up-name").waitFor();
  assert.deepEqual(
    await bob.page.evaluate(() => Object.keys(localStorage).filter((key) => /user|account/.test(key))),
    [],
  );
});

test("the icon and the title tell of unread messages", async () => {
  const carol = await Person.open(browser, cluster, "carol");
  await carol.joinRoom("plans");
  await alice.enter("general");
  await carol.say("for alice");
  await alice.page.locator('link[rel="icon"][href="/favicon-unread.svg"]').waitFor({ state: "attached" });
  await alice.page.waitForFunction(() => document.title.startsWith("(1) "));
  await alice.enter("plans");
  await alice.page.locator('link[rel="icon"][href="/favicon.svg"]').waitFor({ state: "attached" });
  await carol.close();
});

test("the page can be installed: a manifest with its icon", async () => {
  const manifest = await alice.page.evaluate(() =>
    fetch("/manifest.webmanifest").then(async (answer) => ({
      kind: answer.headers.get("content-type"),
      body: await answer.json(),
    })),
  );
  assert.match(manifest.kind, /manifest\+json/);
  assert.equal(manifest.body.display, "standalone");
});

test("no page reported an error", () => {
  assert.deepEqual(alice.faults, []);
  assert.deepEqual(bob.faults, []);
});
