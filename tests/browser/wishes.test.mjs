// What people wish of rooms, what moderators take away, and accounts as an owner manages them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { findings } from "./src/axe.mjs";
import { Cluster } from "./src/cluster.mjs";
import { launch, PASSWORD, Person } from "./src/page.mjs";

let browser;
let cluster;
let owner;

before(async () => {
  [browser, cluster] = await Promise.all([launch(), Cluster.start()]);
  owner = await Person.open(browser, cluster, "Olga");
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
});

const signIn = (name, password) => Person.signIn(browser, cluster, name, password);

/** The entry of a person in the list of accounts. */
function account(name) {
  return owner.page.locator(`[data-testid="accounts"] > li[data-person="${name}"]`);
}

async function openAccounts() {
  await owner.id("sign-ups").click();
  await owner.id("manage-accounts").click();
  await owner.id("accounts").waitFor();
}

test("a favourite stands above the others, here and on another device", async () => {
  const ada = await Person.open(browser, cluster, "Ada");
  await ada.createRoom("zebra");
  const there = await signIn("Ada", PASSWORD);
  await there.room("zebra").waitFor();
  const names = (person) =>
    person.id("room-item").evaluateAll((items) => items.map((item) => item.dataset.roomName));
  assert.equal((await names(there)).indexOf("zebra"), 1);
  await ada.enter("zebra");
  await ada.id("room-settings").click();
  await ada.id("room-favourite").check();
  await there.page.locator('[data-room-name="zebra"][data-favourite="true"]').waitFor();
  assert.equal((await names(there))[0], "zebra");
  await there.page.reload();
  await there.page.locator('[data-room-name="zebra"][data-favourite="true"]').waitFor();
  for (const person of [ada, there]) {
    assert.deepEqual(person.faults, []);
    await person.context.close();
  }
});

test("a room that one wants to hear nothing of is quiet; one of which everything is wanted counts", async () => {
  const bob = await Person.open(browser, cluster, "Bob");
  await bob.createRoom("aside");
  await owner.enter("general");
  const level = async (wanted) => {
    await bob.enter("general");
    await bob.id("room-settings").click();
    await bob.page.locator(`input[name="room-level"][value="${wanted}"]`).check();
    await bob.enter("aside");
  };
  const general = (state) => bob.page.locator(`[data-room-name="general"]${state}`);
  await level("nothing");
  await owner.say("@Bob are you there?");
  // What is said in the other room comes after it, over the same socket.
  await bob.say("nothing heard");
  await bob.page.getByText("nothing heard").waitFor();
  await owner.page.getByText("are you there?").waitFor();
  await general('[data-unread="false"][data-mentions="0"]').waitFor();
  assert.doesNotMatch(await bob.page.title(), /^\(/);
  await level("all");
  await owner.say("no mention in here");
  await general('[data-unread="true"][data-mentions="1"]').waitFor();
  await level("mentions");
  await owner.say("nor in here");
  await general('[data-unread-count="1"][data-mentions="0"]').waitFor();
  assert.deepEqual(bob.faults, []);
  await bob.context.close();
});

test("a moderator takes a message away; the others see that a moderator did", async () => {
  const cleo = await Person.open(browser, cluster, "Cleo");
  const mod = await Person.open(browser, cluster, "Mod");
  await openAccounts();
  await account("Mod").locator('[data-testid="account-role"]').selectOption("moderator");
  await account("Mod").locator("option:checked", { hasText: "moderator" }).waitFor({ state: "attached" });
  await owner.page.keyboard.press("Escape");
  await cleo.enter("general");
  await mod.enter("general");
  await cleo.say("something rude");
  const row = (person) => person.id("message").filter({ hasText: "something rude" });
  await row(mod).hover();
  await row(mod).locator('[data-testid="action-delete"]').click();
  await row(mod).locator('[data-testid="action-delete-really"]').click();
  const gone = "A moderator took this message away.";
  for (const person of [cleo, mod]) {
    await person.page.getByText(gone).waitFor();
    assert.equal(await row(person).count(), 0);
  }
  await cleo.page.reload();
  await cleo.page.getByText(gone).waitFor();
  // Others have no such button.
  await owner.enter("general");
  await owner.say("mine");
  const mine = cleo.id("message").filter({ hasText: "mine" });
  await mine.hover();
  await mine.locator('[data-testid="action-reply"]').waitFor();
  assert.equal(await mine.locator('[data-testid="action-delete"]').count(), 0);
  for (const person of [cleo, mod]) {
    assert.deepEqual(person.faults, []);
    await person.context.close();
  }
});

test("an owner gives a new password to who forgot it, and shuts an account", async () => {
  const dan = await Person.open(browser, cluster, "Dan");
  await openAccounts();
  await owner.id("accounts-find").fill("da");
  assert.equal(await owner.page.locator('[data-testid="accounts"] > li').count(), 2);
  assert.deepEqual(await findings(owner.page), []);
  await account("Dan").locator('[data-testid="account-reset"]').click();
  await owner.id("accounts-password").waitFor();
  const password = await owner.id("accounts-password").inputValue();
  assert.match(password, /^([a-z2-9]{4}-){3}[a-z2-9]{4}$/);
  await dan.id("sign-in-name").waitFor();
  const again = await signIn("Dan", password);
  await again.id("composer").waitFor();
  await account("Dan").locator('[data-testid="account-active"]').click();
  await again.id("sign-in-name").waitFor();
  await account("Dan").locator('[data-testid="account-active"]', { hasText: "Activate" }).click();
  const back = await signIn("Dan", password);
  await back.id("composer").waitFor();
  await owner.page.keyboard.press("Escape");
  for (const person of [dan, again, back]) await person.context.close();
  assert.deepEqual(owner.faults, []);
});
