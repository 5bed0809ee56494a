// A cluster that `chatterctl demo` filled, as a newcomer finds it.

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
let newcomer;

before(async () => {
  await mkdir(output, { recursive: true });
  [browser, cluster] = await Promise.all([launch(), Cluster.start()]);
});

after(async () => {
  assert.deepEqual(newcomer?.faults ?? [], []);
  await browser?.close();
  await cluster?.stop();
});

test("it fills a cluster once, and says so the second time", async () => {
  const first = await cluster.demo();
  assert.match(first, /\d+ messages of 5 people in #launch, #incidents, #tea-kitchen/);
  assert.match(first, /Mira is the owner/);
  const second = await cluster.demo();
  assert.match(second, /nothing was changed/);
  assert.doesNotMatch(second, /is the owner/);
  assert.equal(/password of all: (\S+)/.exec(second)[1], /password of all: (\S+)/.exec(first)[1]);
});

test("from another machine it says why not", async () => {
  await assert.rejects(cluster.demo("elsewhere"), /somebody is called `Mira` there/);
});

test("a newcomer finds rooms with people, answers, reactions and what was pinned", async () => {
  newcomer = await Person.open(browser, cluster, "Newcomer");
  for (const room of ["launch", "incidents", "tea-kitchen"]) await newcomer.joinRoom(room);
  await newcomer.enter("launch");
  await newcomer.sees("Restore: worked twice, 3 min 12 s and 3 min 5 s.");
  await newcomer.sees("we go on Thursday at 10:00");
  const texts = (await newcomer.messages()).map((message) => message.text);
  assert.equal(texts.filter((text) => text.includes("What is still open?")).length, 1, "once");
  assert.ok((await newcomer.page.locator('[data-testid="reaction"]').count()) > 0);
  await newcomer.id("show-pins").click();
  await newcomer.id("pins").filter({ hasText: "Decision:" }).waitFor();
  await newcomer.page.keyboard.press("Escape");
  assert.deepEqual(await findings(newcomer.page), []);
  await newcomer.page.screenshot({ path: path.join(output, "demo.png") });
});

test("one of the demo's people signs in with the password that was told", async () => {
  const password = /password of all: (\S+)/.exec(await cluster.demo())[1];
  const status = await newcomer.page.evaluate(async (secret) => {
    const answer = await fetch("/api/v1/sign-in", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        cid: "019aaf3e-6b7c-7a00-8000-000000000001",
        name: "Jonas",
        password: secret,
      }),
    });
    return answer.status;
  }, password);
  assert.equal(status, 200);
});
