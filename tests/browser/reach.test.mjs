// Every screen in three widths, in light and dark: nothing is wider than the screen, axe-core
// finds nothing serious, and there is a picture of it in output/screens.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { findings } from "./src/axe.mjs";
import { Cluster } from "./src/cluster.mjs";
import { Person, launch } from "./src/page.mjs";

const output = path.join(import.meta.dirname, "output", "screens");
const WIDTHS = { phone: [360, 740], tablet: [800, 900], desktop: [1280, 800] };
const THEMES = ["light", "dark"];
let cluster;
let browser;
let alice;
let bob;

const TALK = [
  ["alice", "Good morning! The new storage nodes arrived. Who has time to **rack** them with me?"],
  ["Bob Baker", "I do, after ten. @alice shall I bring the cables from #general?"],
  ["alice", "Please. The plan:\n\n1. Move `r3` to rack B\n2. Watch the lag in the cluster panel\n3. Coffee ☕"],
  ["Bob Baker", "This is what I run before, to be sure that two of three are up:"],
  [
    "Bob Baker",
    '```rust\n/// How many more replicas may fail.\nfn spare(up: usize, voters: usize) -> Option<usize> {\n    up.checked_sub(voters / 2 + 1)\n}\n```',
  ],
  ["alice", "> two of three are up\n\nThat is all it takes. See [the runbook](https://example.org/runbooks)."],
  ["Bob Baker", "| Node | Rack | Since |\n|---|---|---:|\n| r1 | A | 2 y |\n| r3 | **B** | today |"],
  ["alice", "שלום לכולם, השרת החדש מוכן"],
  ["Bob Baker", "مرحبا، كل شيء يعمل"],
  ["alice", "~~Thursday~~ *Friday* then. @room please keep your hands off rack B until noon."],
];

before(async () => {
  await mkdir(output, { recursive: true });
  cluster = await Cluster.start();
  browser = await launch();
  alice = await Person.open(browser, cluster, "alice");
  bob = await Person.open(browser, cluster, "Bob Baker");
  await alice.createRoom("operations");
  await bob.joinRoom("operations");
  for (const [name, text] of TALK) {
    const person = name === "alice" ? alice : bob;
    await person.say(text);
    const other = name === "alice" ? bob : alice;
    await other.page.waitForFunction(
      (count) => document.querySelectorAll('[data-testid="message"]').length >= count,
      TALK.findIndex((one) => one[1] === text) + 1,
    );
  }
  for (const room of ["design", "on-call", "random"]) await bob.createRoom(room);
  await alice.joinRoom("random");
  await bob.enter("random");
  await bob.say("anybody for lunch?");
  await alice.enter("operations");
  await alice.page.waitForTimeout(300);
  await alice.page.locator(".hljs-keyword").first().waitFor();
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
});

/** The page as it is now, in all sizes and themes. */
async function look(person, name) {
  const { page } = person;
  const wrong = [];
  for (const [size, [width, height]] of Object.entries(WIDTHS)) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of THEMES) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.waitForTimeout(50);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (wide > width) wrong.push(`${size}: ${wide} px wide`);
      // What scrolls sideways on purpose is code, and tables of people.
      const cut = await page.evaluate(() =>
        [...document.querySelectorAll("main, nav, dialog[open], :popover-open, .history, .bar")]
          .filter((one) => one.scrollWidth > one.clientWidth + 1)
          .map((one) => one.className || one.tagName),
      );
      if (cut.length > 0) wrong.push(`${size}: cut off: ${cut}`);
      for (const finding of await findings(page)) wrong.push(`${size} ${colorScheme}: ${finding}`);
      await page.screenshot({ path: path.join(output, `${name}-${size}-${colorScheme}.png`) });
    }
  }
  await page.setViewportSize({ width: 1280, height: 800 });
  assert.deepEqual(wrong, [], name);
}

test("the first screen", async () => {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(cluster.url);
  await page.locator('[data-testid="sign-up-name"]').waitFor();
  await page.locator('[data-testid="cluster-line"]').filter({ hasText: "3 of 3" }).waitFor();
  await look({ page }, "sign-up");
  await context.close();
});

test("a room, with all that a message can be", async () => {
  await look(alice, "room");
});

test("the list of rooms on a phone", async () => {
  await alice.page.setViewportSize({ width: 360, height: 740 });
  await alice.page.locator(".bar-back").click();
  assert.deepEqual(await findings(alice.page), []);
  await alice.page.screenshot({ path: path.join(output, "rooms-phone-light.png") });
  await alice.enter("operations");
});

test("the room of the cluster", async () => {
  await alice.page.setViewportSize({ width: 1280, height: 800 });
  await alice.enter("cluster");
  await alice.id("notice").first().waitFor();
  await look(alice, "cluster-room");
  await alice.enter("operations");
});

for (const [name, open, shown] of [
  ["palette", () => alice.page.keyboard.press("Control+k"), "palette"],
  ["help", () => alice.page.keyboard.press("Control+/"), "help"],
  ["new-room", () => alice.id("new-room").click(), "new-room-name"],
  ["browse-rooms", () => alice.id("browse-rooms").click(), "find-room"],
  ["account", () => alice.id("account").click(), "account-name"],
  ["sign-ups", () => alice.id("sign-ups").click(), "invitation-create"],
  ["sign-out", () => alice.id("sign-out").click(), "sign-out-confirm"],
  ["cluster-panel", () => alice.page.keyboard.press("Control+."), "commit-latency"],
  [
    "xray",
    async () => {
      await alice.id("message").last().focus();
      await alice.page.keyboard.press("x");
    },
    "xray",
  ],
  [
    "completion",
    async () => {
      await alice.id("composer").focus();
      await alice.page.keyboard.type("@");
    },
    "completion",
  ],
])
  test(`the screen "${name}"`, async () => {
    await alice.page.setViewportSize({ width: 1280, height: 800 });
    await open();
    await alice.id(shown).waitFor();
    await look(alice, name);
    await alice.page.keyboard.press("Escape");
    await alice.id(shown).waitFor({ state: name === "cluster-panel" ? "hidden" : "detached" });
    await alice.id("composer").fill("");
  });

for (const [name, open] of [
  ["search", () => alice.id("search").click()],
  ["pins", () => alice.id("show-pins").click()],
  [
    "thread",
    async () => {
      await alice.id("message").last().focus();
      await alice.page.keyboard.press("r");
    },
  ],
])
  test(`the panel "${name}", and Escape closes it`, async () => {
    await alice.page.setViewportSize({ width: 1280, height: 800 });
    await open();
    await alice.id("side-panel").waitFor();
    await look(alice, name);
    await alice.id("close-panel").focus();
    await alice.page.keyboard.press("Escape");
    await alice.id("side-panel").waitFor({ state: "detached" });
  });

test("German, on a phone: the same screens, nothing cut off", async () => {
  await alice.page.setViewportSize({ width: 1280, height: 800 });
  await alice.page.locator('button[lang="de"], .language').filter({ hasText: /de/i }).click();
  await look(alice, "german");
  await alice.page.keyboard.press("Control+.");
  await alice.id("commit-latency").waitFor();
  await look(alice, "german-cluster-panel");
  await alice.page.keyboard.press("Escape");
  await alice.page.locator(".language").filter({ hasText: /en/i }).click();
});

test("text from right to left is set in its own direction, and moves nothing else", async () => {
  await alice.page.setViewportSize({ width: 1280, height: 800 });
  const places = await alice.id("message").evaluateAll((nodes) =>
    nodes
      .map((node) => node.querySelector(".message-body p"))
      .filter((node) => node !== null)
      .map((node) => ({
        text: node.textContent,
        direction: getComputedStyle(node).direction,
        left: Math.round(node.closest(".message-body").getBoundingClientRect().left),
      })),
  );
  for (const { text, direction } of places)
    assert.equal(direction, /[\u0590-\u06ff]/.test(text) ? "rtl" : "ltr", text);
  assert.equal(new Set(places.map((one) => one.left)).size, 1, "all bodies begin at one edge");
});

test("no quorum, and messages that wait", async () => {
  const leader = await cluster.leader();
  for (const name of ["r1", "r2", "r3"].filter((one) => one !== leader)) await cluster.pause(name);
  await alice.say("is anybody there?");
  await alice.say("I will wait.");
  await alice
    .id("banner")
    .filter({ hasText: "No quorum: 2 of 3 replicas are down. 2 messages wait on this device." })
    .waitFor({ timeout: 30_000 });
  await look(alice, "no-quorum");
});

test("no page reported an error", () => {
  assert.deepEqual(alice.faults, []);
  assert.deepEqual(bob.faults, []);
});
