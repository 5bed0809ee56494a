// Accounts in the page: sign-up with a password, sign-in, sessions, a new name, invitations.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Cluster } from "./src/cluster.mjs";
import { launch, PASSWORD, Person } from "./src/page.mjs";

let browser;
let cluster;
let ada;

before(async () => {
  [browser, cluster] = await Promise.all([launch(), Cluster.start()]);
  ada = await Person.open(browser, cluster, "Ada");
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
});

const signIn = (name, password) => Person.signIn(browser, cluster, name, password);

test("whoever signs out comes back with name and password, and finds the rooms", async () => {
  const bob = await Person.open(browser, cluster, "Bob");
  await bob.createRoom("lab");
  await bob.say("I was here");
  await bob.id("sign-out").click();
  await bob.id("sign-out-confirm").click();
  await bob.id("sign-up-turn").click();
  await bob.id("sign-in-name").fill("BOB");
  await bob.id("sign-in-password").fill("wrong password");
  await bob.id("sign-in-submit").click();
  await bob.id("sign-up-failure").waitFor();
  assert.equal(
    await bob.id("sign-up-failure").textContent(),
    "The name or the password is wrong.",
  );
  await bob.id("sign-in-password").fill(PASSWORD);
  await bob.id("sign-in-submit").click();
  await bob.enter("lab");
  await bob.page.getByText("I was here").waitFor();
  assert.deepEqual(bob.faults, []);
  await bob.context.close();
});

test("a session that is ended elsewhere leads to the first screen", async () => {
  const here = await Person.open(browser, cluster, "Cleo");
  const there = await signIn("Cleo", PASSWORD);
  await there.id("composer").waitFor();
  await here.id("account").click();
  await here.id("revoke-session").click();
  await there.id("sign-in-name").waitFor();
  await here.id("composer").waitFor();
  await there.context.close();
  await here.context.close();
});

test("a new name and a new password are there on the other device", async () => {
  const here = await Person.open(browser, cluster, "Dan");
  const there = await signIn("Dan", PASSWORD);
  await there.id("composer").waitFor();
  await here.id("account").click();
  await here.id("account-name").fill("Daniel");
  await here.id("account-save").click();
  await there.page.locator(".account-name", { hasText: "Daniel" }).waitFor();
  await here.id("account-current").fill(PASSWORD);
  await here.id("account-password").fill("another password");
  await here.id("account-set-password").click();
  // All other sessions end.
  await there.id("sign-in-name").waitFor();
  const again = await signIn("Daniel", "another password");
  await again.id("composer").waitFor();
  for (const person of [here, there, again]) await person.context.close();
});

test("by invitation: no form without the link, an account with it", async () => {
  await ada.id("sign-ups").click();
  await ada.page.locator('input[value="invitation"]').check();
  await ada.id("invitation-uses").fill("1");
  await ada.id("invitation-create").click();
  await ada.id("invitation-link").waitFor();
  const link = await ada.id("invitation-link").inputValue();

  const stranger = await Person.visit(browser, cluster);
  await stranger.id("sign-in-name").waitFor();
  assert.match(await stranger.id("sign-up-lead").textContent(), /link of an invitation/);
  assert.equal(await stranger.id("sign-up-turn").count(), 0);
  await stranger.page.goto(link);
  await stranger.id("sign-up-name").fill("Eve");
  await stranger.id("sign-up-password").fill(PASSWORD);
  await stranger.id("sign-up-submit").click();
  await stranger.id("composer").waitFor();
  assert.ok(!stranger.page.url().includes("invitation"), "the link is not left in the address");

  // Used up.
  const late = await Person.visit(browser, cluster, link);
  await late.id("sign-up-name").fill("Late");
  await late.id("sign-up-password").fill(PASSWORD);
  await late.id("sign-up-submit").click();
  await late.id("sign-up-failure").waitFor();
  assert.match(await late.id("sign-up-failure").textContent(), /used up/);

  await ada.page.locator('input[value="open"]').check();
  await ada.page.keyboard.press("Escape");
  const open = await Person.open(browser, cluster, "Finn");
  for (const person of [stranger, late, open]) await person.context.close();
});

test("whoever deactivates the account is out", async () => {
  const gone = await Person.open(browser, cluster, "Gus");
  await gone.id("account").click();
  await gone.id("deactivate").click();
  await gone.id("deactivate-current").fill(PASSWORD);
  await gone.id("deactivate-confirm").click();
  await gone.id("sign-in-name").fill("Gus");
  await gone.id("sign-in-password").fill(PASSWORD);
  await gone.id("sign-in-submit").click();
  await gone.id("sign-up-failure").waitFor();
  await gone.context.close();
});
