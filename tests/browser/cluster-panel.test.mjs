// The cluster panel and the look behind a message, on a cluster that loses its leader.

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

before(async () => {
  await mkdir(output, { recursive: true });
  cluster = await Cluster.start();
  browser = await launch();
  alice = await Person.open(browser, cluster, "alice");
});

after(async () => {
  await alice?.page.screenshot({ path: path.join(output, "last-panel.png") });
  await browser?.close();
  await cluster?.stop();
});

const row = (name) => alice.page.locator(`[data-testid="replica"][data-node="${name.slice(1)}"]`);

async function openPanel() {
  await alice.id("cluster-chip").click();
  await alice.id("replica").first().waitFor();
}

test("nothing is asked for while the panel is closed, at most four times a second while it is open", async () => {
  const asked = [];
  alice.page.on("request", (request) => {
    if (request.url().endsWith("/api/v1/cluster")) asked.push(Date.now());
  });
  await alice.page.waitForTimeout(1_500);
  assert.equal(asked.length, 0);
  await openPanel();
  const began = Date.now();
  await alice.page.waitForTimeout(3_000);
  const seconds = (Date.now() - began) / 1_000;
  assert.ok(asked.length >= 2, `${asked.length} times in ${seconds} s`);
  assert.ok(asked.length <= 4 * seconds + 1, `${asked.length} times in ${seconds} s`);
  await alice.page.keyboard.press("Escape");
  await alice.page.waitForTimeout(300);
  const closed = asked.length;
  await alice.page.waitForTimeout(1_500);
  assert.equal(asked.length, closed);
});

test("each replica says its part; the page says what its own messages took", async () => {
  for (let n = 1; n <= 12; n += 1) await alice.say(`message ${n}`);
  await alice.settled(12);
  await openPanel();
  await alice.id("cluster-summary").filter({ hasText: "3 of 3 replicas · one may fail" }).waitFor();
  const leader = await cluster.leader();
  assert.equal(await row(leader).getAttribute("data-role"), "leader");
  // She is the owner, but this is no demo.
  assert.equal(await alice.id("demo-buttons").count(), 0);
  for (const name of ["r1", "r2", "r3"]) {
    const text = await row(name).textContent();
    assert.match(text, /\d+\.\d/, `${name} has a ballot: ${text}`);
    assert.match(text, /up \d.*log [\d.]+ MB/, text);
  }
  await alice.page.waitForFunction(
    () => Number(document.querySelector('[data-testid="commit-latency"]').dataset.count) === 12,
  );
  assert.match(
    await alice.id("commit-latency").textContent(),
    /Half of your last 12 messages within [\d.]+ ms, 99 % within [\d.]+ ms/,
  );
  assert.equal(await alice.id("commit-latency").locator(".sparkline path").count(), 1);
  await alice.id("cluster-timeline").locator('[data-what="elected"]').first().waitFor();
  await alice.page.screenshot({ path: path.join(output, "cluster-panel.png") });
  await alice.page.keyboard.press("Escape");
});

test("a replica that hangs is seen without closing the panel, in words too", async () => {
  await openPanel();
  const leader = await cluster.leader();
  const hangs = ["r1", "r2", "r3"].find((name) => name !== leader);
  await cluster.pause(hangs);
  await alice.page
    .locator(`[data-node="${hangs.slice(1)}"][data-role="unreachable"]`)
    .waitFor({ timeout: 20_000 });
  const summary = alice.id("cluster-summary");
  await summary.filter({ hasText: "2 of 3 replicas · none may fail" }).waitFor();
  await summary.filter({ hasText: "if one more fails nothing can be sent" }).waitFor();
  await alice.id("cluster-timeline").filter({ hasText: `${hangs} has been silent` }).waitFor();
  await alice.page.screenshot({ path: path.join(output, "cluster-panel-silent.png") });
  await cluster.resume(hangs);
  await summary.filter({ hasText: "3 of 3 replicas" }).waitFor({ timeout: 20_000 });
  await alice.page.keyboard.press("Escape");
});

test("X looks behind a message: where it stands, what it took, who has it", async () => {
  await alice.id("message").last().focus();
  await alice.page.keyboard.press("x");
  const shown = alice.id("xray");
  await shown.waitFor();
  const seq = await alice.id("message").last().getAttribute("data-seq");
  assert.equal(await shown.getAttribute("data-seq"), seq);
  const text = await shown.textContent();
  assert.match(text, /slot [\d,]+ of the log/);
  assert.match(text, /Chosen by a quorum[\d.,]+ ms after it was sent/);
  await shown.filter({ hasText: "Applied byr1 r2 r3" }).waitFor();
  await shown.filter({ hasText: "Accepted byr1 r2 r3: in the log on their disks" }).waitFor();
  assert.match(await shown.textContent(), /Ballot\d+\.\d+, proposed by r[123]/);
  await alice.page.screenshot({ path: path.join(output, "xray.png") });
  await alice.page.keyboard.press("Escape");
  await shown.waitFor({ state: "detached" });
  // What another page measured is not known here.
  await alice.page.reload();
  await alice.sees("message 12");
  await alice.id("message").first().hover();
  await alice.id("message").first().locator('[data-testid="open-xray"]').click();
  await alice.id("xray").waitFor();
  assert.doesNotMatch(await alice.id("xray").textContent(), /after it was sent/);
  await alice.page.keyboard.press("Escape");
});

test("X tells who accepted a message, and who does not answer", async () => {
  const leader = await cluster.leader();
  const hangs = ["r1", "r2", "r3"].find((name) => name !== leader);
  const others = ["r1", "r2", "r3"].filter((name) => name !== hangs).join(" ");
  await cluster.pause(hangs);
  await alice.say("while one hangs");
  await alice.id("message").last().filter({ hasText: "while one hangs" }).waitFor();
  await alice.id("message").last().focus();
  await alice.page.keyboard.press("x");
  const shown = alice.id("xray");
  await shown.filter({ hasText: `Accepted by${others}: in the log` }).waitFor();
  await shown.filter({ hasText: `Applied by${others}` }).waitFor();
  await shown.filter({ hasText: `No answer from${hangs}` }).waitFor();
  await alice.page.screenshot({ path: path.join(output, "xray-silent.png") });
  await alice.page.keyboard.press("Escape");
  await cluster.resume(hangs);
  await alice.sees("while one hangs");
});

test("where this is no demo nobody can break a replica, not even the owner", async () => {
  await openPanel();
  assert.equal(await alice.id("demo-buttons").count(), 0);
  // Not by fetch: the browser would log the refusal as an error of the page.
  const here = new URL(alice.page.url());
  const answer = await alice.page.request.post(new URL("/api/v1/demo/1", here).href, {
    headers: { Origin: here.origin },
    data: { fault: "kill" },
  });
  assert.equal(answer.status(), 404);
  assert.match(await answer.text(), /the setting demo is off/);
  await alice.id("cluster-summary").filter({ hasText: "3 of 3 replicas" }).waitFor();
  await alice.page.keyboard.press("Escape");
});

test("no page reported an error", () => {
  assert.deepEqual(alice.faults, []);
});
