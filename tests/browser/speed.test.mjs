// How long a person waits for the page: printed, not judged, as this machine has other work.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Cluster } from "./src/cluster.mjs";
import { Person, launch } from "./src/page.mjs";

const MESSAGES = 320;
/** Rows that the page keeps (web/src/store/row-window.ts). */
const ROWS = 300;
const TURNS = 5;

let browser;
let cluster;
let alice;

before(async () => {
  const many = "100000";
  const env = { CHATTERBOX_GATEWAY_SENDS_PER_SECOND: many, CHATTERBOX_GATEWAY_SENDS_BURST: many };
  [browser, cluster] = await Promise.all([launch(), Cluster.start({ env })]);
  alice = await Person.open(browser, cluster, "alice");
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
});

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const told = (values) => `${values.map((value) => value.toFixed(0)).join(", ")} ms`;

test("a room is filled", async () => {
  for (let n = 1; n <= MESSAGES; n += 1) {
    await alice.say(n % 10 === 0 ? `number ${n} with **words** and \`code\`` : `number ${n}`);
  }
  await alice.sees(`number ${MESSAGES}`);
});

test("the first message is there, with nothing in the cache", async () => {
  const [session] = await alice.context.cookies();
  const waits = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    // A context of its own has no cache and no service worker.
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    await context.addCookies([session]);
    const page = await context.newPage();
    const began = performance.now();
    await page.goto(cluster.url);
    await page.locator('[data-testid="message"]').last().waitFor();
    waits.push(performance.now() - began);
    await context.close();
  }
  assert.equal(waits.length, TURNS);
  console.log(`first message with a cold cache: median ${median(waits).toFixed(0)} ms (${told(waits)})`);
});

/** All the rows that the page keeps, by scrolling up. */
async function fillRows() {
  const rows = alice.id("message");
  const log = alice.id("history");
  for (let pull = 0; pull < 60 && (await rows.count()) < ROWS - 20; pull += 1) {
    await log.hover();
    await alice.page.mouse.wheel(0, -4_000);
    await alice.page.waitForTimeout(60);
  }
  return rows.count();
}

test("a room of three hundred rows is drawn, and typing beside it holds nothing up", async () => {
  const rows = await fillRows();
  assert.ok(rows >= ROWS - 20, `${rows} rows`);

  // Drawn anew in another language: every row has words and times of it.
  const draws = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    const language = turn % 2 === 0 ? "DE" : "EN";
    draws.push(
      await alice.page.evaluate(async (wanted) => {
        const buttons = [...document.querySelectorAll("button")];
        const button = buttons.find((one) => one.textContent.trim() === wanted);
        const began = performance.now();
        button.click();
        // The next task after the next frame: style, layout and paint of it are done.
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        return performance.now() - began;
      }, language),
    );
  }
  assert.equal(draws.length, TURNS);
  console.log(`${rows} rows drawn anew, to the end of the frame: median ${median(draws).toFixed(0)} ms (${told(draws)})`);

  await alice.page.evaluate(() => {
    window.long = [];
    window.keys = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) window.long.push(entry.duration);
    }).observe({ type: "longtask" });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        if (entry.name === "keydown" || entry.name === "input") {
          window.keys.push(entry.processingEnd - entry.processingStart);
        }
      }
    }).observe({ type: "event", durationThreshold: 16 });
  });
  await alice.id("composer").pressSequentially("typed beside three hundred rows, letter by letter", { delay: 20 });
  await alice.page.waitForTimeout(500);
  const { long, keys } = await alice.page.evaluate(() => ({ long: window.long, keys: window.keys }));
  const most = (values) => Math.max(0, ...values).toFixed(1);
  console.log(
    `49 letters beside them: the longest work for one took ${most(keys)} ms, ` +
      `${long.length} tasks took over 50 ms (${most(long)} ms)`,
  );
  const text = await alice.id("composer").inputValue();
  assert.equal(text, "typed beside three hundred rows, letter by letter");
});

test("no page reported an error", () => {
  assert.deepEqual(alice.faults, []);
});
