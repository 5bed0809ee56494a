// What a team does with messages all day: edit, delete, react, answer, pin, link, and what is
// unread on two devices of one person.

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
  bob = await Person.open(browser, cluster, "bob", { locale: "de-DE", colorScheme: "dark" });
});

after(async () => {
  for (const person of [alice, bob]) await shoot(person, "messages-last");
  await browser?.close();
  await cluster?.stop();
});

async function shoot(person, what) {
  await person?.page.screenshot({ path: path.join(output, `${what}-${person.name}.png`) });
}

/** The row of the message with this text. */
function row(person, text) {
  return person.id("message").filter({ hasText: text }).last();
}

/** One of the actions on a message. */
async function act(person, text, name) {
  await row(person, text).hover();
  await row(person, text).locator(`[data-testid="action-${name}"]`).click();
}

test("an edit is seen by everybody, and its history stays", async () => {
  await alice.say("the meting is at nine");
  await bob.sees("the meting is at nine");
  await act(alice, "the meting", "edit");
  await alice.id("edit-field").fill("the meeting is at nine");
  await alice.id("edit-field").press("Enter");
  await bob.sees("the meeting is at nine");
  await row(bob, "the meeting").locator('[data-testid="edited"]').waitFor();
  await act(bob, "the meeting", "versions");
  await bob.id("versions").filter({ hasText: "the meting is at nine" }).waitFor();
  await shoot(bob, "messages-versions");
  await bob.id("close-panel").click();
  await row(bob, "the meeting").hover();
  const foreign = row(bob, "the meeting").locator('[data-testid="action-edit"]');
  assert.equal(await foreign.count(), 0, "nobody edits what another wrote");
});

test("reactions are counted once per person, and taken back", async () => {
  await act(bob, "the meeting", "react");
  await bob.page.locator('[data-testid="emoji-picker"] [data-emoji="👍"]').click();
  const mine = (person) => row(person, "the meeting").locator('[data-testid="reaction"]');
  await mine(alice).filter({ hasText: "1" }).waitFor();
  await mine(alice).click();
  await mine(bob).filter({ hasText: "2" }).waitFor();
  await shoot(alice, "messages-reactions");
  await mine(bob).click();
  await mine(alice).filter({ hasText: "1" }).waitFor();
  assert.equal(await mine(alice).getAttribute("aria-pressed"), "true");
});

test("an answer opens a thread that both see", async () => {
  await act(bob, "the meeting", "reply");
  await bob.id("reply-field").fill("which room?");
  await bob.id("reply-field").press("Enter");
  const link = row(alice, "the meeting is at nine").locator('[data-testid="thread-link"]');
  await alice.id("thread-link").first().waitFor();
  await link.first().click().catch(() => alice.id("thread-link").first().click());
  await alice.id("thread").filter({ hasText: "which room?" }).waitFor();
  await alice.id("reply-field").fill("the small one");
  await alice.id("reply-field").press("Enter");
  await bob.id("thread").filter({ hasText: "the small one" }).waitFor();
  await bob.id("thread").filter({ hasText: "2 Antworten" }).waitFor();
  await shoot(alice, "messages-thread");
  await shoot(bob, "messages-thread");
  await alice.id("close-panel").click();
  await bob.id("close-panel").click();
});

test("a pin is listed, and leads to its place", async () => {
  await act(bob, "which room?", "pin");
  await alice.id("notice").filter({ hasText: "bob pinned a message" }).waitFor();
  await alice.id("show-pins").click();
  await alice.id("pins").filter({ hasText: "which room?" }).waitFor();
  await shoot(alice, "messages-pins");
  await alice.id("close-panel").click();
});

test("a deleted message is a tombstone for everybody, also after a reload", async () => {
  await alice.say("a secret that nobody should have seen");
  await bob.sees("a secret that nobody");
  await act(alice, "a secret", "delete");
  await row(alice, "a secret").locator('[data-testid="action-delete-really"]').click();
  for (const person of [alice, bob]) {
    const word = person === alice ? "This message was deleted." : "Diese Nachricht wurde gelöscht.";
    await person.id("message").filter({ hasText: word }).waitFor();
    assert.equal(await row(person, "a secret").count(), 0);
  }
  await bob.page.reload();
  await bob.id("message").filter({ hasText: "Diese Nachricht wurde gelöscht." }).waitFor();
  await shoot(bob, "messages-tombstone");
  const { pathname } = new URL(`${cluster.url}/api/v1/rooms/1/events`);
  const everything = await bob.page.evaluate(async (at) => (await fetch(at)).text(), pathname);
  assert.doesNotMatch(everything, /secret/);
});

test("a link leads to a message far above, with what surrounds it", async () => {
  await alice.createRoom("long");
  await alice.enter("long");
  const send = async (count) => {
    for (let n = 1; n <= count; n += 1) await alice.say(`line ${n}.`);
  };
  await send(130);
  const last = row(alice, "line 130.").and(alice.page.locator("[data-seq]"));
  await last.waitFor({ timeout: 60_000 });
  const seq = await last.getAttribute("data-seq");
  const first = Number(seq) - 125;
  await bob.joinRoom("long");
  await bob.page.goto(`${cluster.url}/#/rooms/2/${first}`);
  await bob.sees("line 5.");
  const target = bob.page.locator(".message-target");
  await target.waitFor();
  assert.match((await target.textContent()) ?? "", /line 5\./);
  const box = await target.boundingBox();
  assert.ok(box !== null && box.y > 56 && box.y < 744, "it is in sight");
  await shoot(bob, "messages-jump");
  await bob.id("jump-latest").click();
  await bob.sees("line 130.");
});

test("unread, mentions and the title agree on two devices within a second", async () => {
  await alice.enter("general");
  await bob.enter("general");
  const state = await bob.context.storageState();
  const phone = await browser.newContext({ storageState: state, viewport: { width: 390, height: 800 } });
  const page = await phone.newPage();
  await page.goto(cluster.url);
  const phoneRoom = (name) => page.locator(`[data-testid="room-item"][data-room-name="${name}"]`);
  await phoneRoom("long").waitFor();

  // Both look elsewhere: nothing is read.
  await bob.page.evaluate(() => document.activeElement?.blur());
  await bob.enter("long");
  await alice.say("one for everybody");
  await alice.say("one for @bob");
  await alice.say("and one that goes away");
  const unread = (where, count, mentions) =>
    where.and(
      where.page().locator(`[data-unread-count="${count}"][data-mentions="${mentions}"]`),
    );
  await unread(bob.room("general"), 3, 1).waitFor({ timeout: 5_000 });
  await unread(phoneRoom("general"), 3, 1).waitFor({ timeout: 5_000 });
  assert.match(await bob.page.title(), /^\(3\)/);
  await act(alice, "and one that goes away", "delete");
  await row(alice, "and one that goes away").locator('[data-testid="action-delete-really"]').click();
  await unread(bob.room("general"), 2, 1).waitFor({ timeout: 5_000 });
  await unread(phoneRoom("general"), 2, 1).waitFor({ timeout: 5_000 });
  await page.screenshot({ path: path.join(output, "messages-unread-phone.png") });
  await shoot(bob, "messages-unread");

  // Read on the desk: the phone knows within a second.
  await bob.enter("general");
  await unread(bob.room("general"), "", 0).waitFor({ timeout: 5_000 });
  const read_at = Date.now();
  await unread(phoneRoom("general"), "", 0).waitFor({ timeout: 5_000 });
  const took_ms = Date.now() - read_at;
  console.log(`the phone knew after ${took_ms} ms`);
  assert.ok(took_ms < 1_000, `${took_ms} ms`);
  assert.doesNotMatch(await bob.page.title(), /^\(/);

  // A device that was away learns it when it comes back.
  await page.reload();
  await phoneRoom("general").waitFor();
  await unread(phoneRoom("general"), "", 0).waitFor({ timeout: 5_000 });
  await phone.close();
});

test("the focus stays on an own message while it is committed", async () => {
  await alice.enter("general");
  const leader = await cluster.leader();
  const others = ["r1", "r2", "r3"].filter((name) => name !== leader);
  for (const name of others) await cluster.pause(name);
  await alice.say("looked at while it waits");
  const waiting = row(alice, "looked at while it waits");
  await waiting.focus();
  assert.equal(await waiting.getAttribute("data-seq"), null, "nobody has agreed to it yet");
  for (const name of others) await cluster.resume(name);
  await bob.enter("general");
  await bob.sees("looked at while it waits");
  await alice.page.waitForFunction(() => Number(document.activeElement?.dataset.seq) > 0);
  await alice.page.keyboard.press("e");
  await alice.id("edit-field").fill("committed while it had the focus");
  await alice.page.keyboard.press("Enter");
  await bob.sees("committed while it had the focus");
});

test("everything can be done by the keyboard", async () => {
  await alice.enter("general");
  await alice.say("by the keyboard");
  await bob.sees("by the keyboard");
  await row(alice, "by the keyboard").focus();
  await alice.page.keyboard.press("e");
  await alice.id("edit-field").fill("by the keyboard alone");
  await alice.page.keyboard.press("Enter");
  await bob.sees("by the keyboard alone");
  await row(alice, "by the keyboard alone").focus();
  await alice.page.keyboard.press("+");
  await alice.id("emoji-picker").waitFor();
  await alice.page.keyboard.press("ArrowRight");
  await alice.page.keyboard.press("Enter");
  await row(bob, "by the keyboard alone").locator('[data-emoji="👎"]').waitFor();
  await row(alice, "by the keyboard alone").focus();
  await alice.page.keyboard.press("r");
  await alice.id("reply-field").waitFor();
  await alice.page.keyboard.press("Escape");
  await alice.id("side-panel").waitFor({ state: "detached" });
  for (const person of [alice, bob]) assert.deepEqual(person.faults, []);
});
