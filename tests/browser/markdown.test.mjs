// Messages are read as Markdown, and nothing in a message, a name or a room does anything.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { Cluster } from "./src/cluster.mjs";
import { PASSWORD, Person, launch } from "./src/page.mjs";

const output = path.join(import.meta.dirname, "output");
const payloads = JSON.parse(
  await readFile(new URL("../../web/test/payloads.json", import.meta.url), "utf8"),
);
/** What a message may consist of. */
const ELEMENTS = new Set(
  "A BLOCKQUOTE BR BUTTON CODE DEL DIV EM HR LI OL P PATH PRE RECT SPAN STRONG SVG TABLE TBODY TD TH THEAD TR UL".split(
    " ",
  ),
);
let cluster;
let browser;
let alice;
let bob;

before(async () => {
  await mkdir(output, { recursive: true });
  cluster = await Cluster.start();
  browser = await launch();
  alice = await Person.open(browser, cluster, "alice");
  bob = await Person.open(browser, cluster, "Bob <b>Bold</b>");
});

after(async () => {
  await alice?.page.screenshot({ path: path.join(output, "last-markdown.png") });
  await browser?.close();
  await cluster?.stop();
});

/** The last message of the page, by its elements. */
function last(person, what) {
  return person.id("message").last().locator(what);
}

test("Markdown becomes elements, for the writer and for the reader", async () => {
  const text = [
    "**bold**, *slanted*, ~~gone~~, `code` and [a link](https://a.example/x)",
    "",
    "- one",
    "- two",
    "",
    "> quoted",
    "",
    "| a | b |",
    "|---|---|",
    "| 1 | 2 |",
    "",
    "```rust",
    "fn main() { let answer = 42; }",
    "```",
  ].join("\n");
  await alice.say(text);
  for (const person of [alice, bob]) {
    await person.sees("quoted");
    for (const [what, shown] of [
      ["strong", "bold"],
      ["em", "slanted"],
      ["del", "gone"],
      ["p > code", "code"],
      ["ul > li:nth-child(2)", "two"],
      ["blockquote", "quoted"],
      ["td:nth-child(2)", "2"],
    ])
      assert.equal(await last(person, what).textContent(), shown, what);
    const link = last(person, "a");
    assert.equal(await link.getAttribute("href"), "https://a.example/x");
    assert.equal(await link.getAttribute("rel"), "noopener noreferrer nofollow");
    await last(person, '[data-highlighted="true"]').waitFor();
    assert.equal(await last(person, ".hljs-keyword").first().textContent(), "fn");
    assert.equal(await last(person, "pre").textContent(), "fn main() { let answer = 42; }");
  }
});

test("the highlighter comes from our own server, and only when it is needed", async () => {
  const fresh = await browser.newContext();
  const page = await fresh.newPage();
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(cluster.url);
  await page.locator('[data-testid="sign-up-name"]').waitFor();
  assert.ok(!asked.some((url) => url.includes("highlighter")), asked.join("\n"));
  assert.ok(asked.every((url) => url.startsWith(cluster.url)), asked.join("\n"));
  await fresh.close();
});

test("names of people and rooms are chips; one's own stands out; a room's leads there", async () => {
  await alice.say("hello @alice and @Bob <b>Bold</b>, see #general, not @nobody");
  await bob.sees("see #general");
  const own = (person) =>
    last(person, '[data-testid="mention"]').evaluateAll((nodes) =>
      nodes.map((node) => [node.textContent, node.dataset.own]),
    );
  for (const person of [alice, bob]) await last(person, '[data-testid="mention"] >> nth=1').waitFor();
  assert.deepEqual(await own(alice), [
    ["@alice", "true"],
    ["@Bob <b>Bold</b>", "false"],
  ]);
  assert.deepEqual(await own(bob), [
    ["@alice", "false"],
    ["@Bob <b>Bold</b>", "true"],
  ]);
  await alice.createRoom("elsewhere");
  await alice.say("back in #general");
  await last(alice, '[data-testid="mention-room"]').click();
  await alice.sees("not @nobody");
  assert.equal(await alice.room("general").getAttribute("aria-current"), "page");
});

test("a long message shows its beginning, and all of it on demand", async () => {
  await alice.createRoom("long");
  await alice.say(Array.from({ length: 60 }, (_, line) => `line ${line + 1}`).join("\n"));
  await alice.sees("line 60");
  const body = last(alice, ".message-body");
  const folded = (await body.boundingBox()).height;
  await last(alice, '[data-testid="show-more"]').click();
  const whole = (await body.boundingBox()).height;
  assert.ok(folded <= 320 && whole > 1_000, `${folded} px, then ${whole} px`);
});

test(`${payloads.length} hostile texts as messages, names and rooms do nothing`, async () => {
  assert.ok(payloads.length >= 100);
  await alice.createRoom("hostile");
  await bob.joinRoom("hostile");
  await alice.enter("hostile");
  const dialogs = [];
  for (const person of [alice, bob]) {
    person.page.on("dialog", (dialog) => {
      dialogs.push(dialog.message());
      void dialog.dismiss();
    });
    await person.page.evaluate(() => {
      globalThis.violations = [];
      addEventListener("securitypolicyviolation", (event) =>
        globalThis.violations.push(`${event.violatedDirective} ${event.blockedURI}`),
      );
      globalThis.alert = () => globalThis.violations.push("alert was called");
    });
  }
  const before = bob.page.url();
  for (const text of payloads) await alice.say(text);
  const written = payloads.filter((text) => text.trim() !== "").length;
  await bob.settled(written, 90_000);
  // Whatever waits for a pointer, a focus or a click gets it.
  const links = await bob.page.locator(".message-body a").evaluateAll((nodes) =>
    nodes.map((node) => node.href),
  );
  for (const href of links) assert.match(href, /^(https?:\/\/|mailto:)/, href);
  const elements = await bob.page
    .locator(".message-body, .message-body *")
    .evaluateAll((nodes) => [
      ...new Set(
        nodes.flatMap((node) => [
          node.tagName.toUpperCase(),
          ...node.getAttributeNames().filter((name) => /^on|^src|^style|action|^data$/.test(name)),
        ]),
      ),
    ]);
  assert.deepEqual(elements.filter((name) => !ELEMENTS.has(name)), []);
  for (const person of [alice, bob]) {
    assert.deepEqual(await person.page.evaluate(() => globalThis.violations), []);
  }
  assert.deepEqual(dialogs, []);
  assert.equal(bob.page.url().split("#")[0], before.split("#")[0]);

  // Names of people are nearly free, those of rooms are not: what is refused is refused.
  for (const [index, name] of payloads.filter((text) => [...text].length <= 30).entries()) {
    if (index % 6 !== 0) continue;
    const context = await browser.newContext();
    const page = await context.newPage();
    page.on("dialog", (dialog) => {
      dialogs.push(dialog.message());
      void dialog.dismiss();
    });
    await page.goto(cluster.url);
    await page.locator('[data-testid="sign-up-name"]').fill(name);
    await page.locator('[data-testid="sign-up-password"]').fill(PASSWORD);
    await page.locator('[data-testid="sign-up-submit"]').click();
    const composer = page.locator('[data-testid="composer"]');
    const refused = page.locator(".hint-error:not([hidden])");
    await composer.or(refused).first().waitFor();
    if (await composer.count()) {
      await composer.fill(`I am @${name}`);
      await composer.press("Enter");
      await page.locator('[data-testid="message"]').last().waitFor();
    }
    await context.close();
  }
  await alice.enter("general");
  await alice.page.waitForTimeout(500);
  assert.deepEqual(dialogs, []);
  assert.equal(await alice.page.locator("script:not([src])").count(), 0);
});

test("no page reported an error", () => {
  assert.deepEqual(alice.faults, []);
  assert.deepEqual(bob.faults, []);
});
