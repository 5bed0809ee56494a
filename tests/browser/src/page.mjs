// A person at a page in Chromium.

import { execFileSync } from "node:child_process";
import { chromium } from "playwright-core";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

function executable() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    try {
      return execFileSync("which", [name], { encoding: "utf8" }).trim();
    } catch {
      // Not this one.
    }
  }
  throw new Error("no Chromium: install the package `chromium`, or set CHROMIUM to its path");
}

export async function launch() {
  return chromium.launch({ executablePath: executable(), args: FLAGS });
}

/** Everybody's. */
export const PASSWORD = "correct horse battery";

/** A browser of their own: cookies and storage are shared with nobody. */
export class Person {
  static async open(browser, cluster, name, options = {}) {
    const { address = cluster.url, ...context } = options;
    const person = await Person.visit(browser, cluster, address, context);
    person.name = name;
    await person.id("sign-up-name").fill(name);
    await person.id("sign-up-password").fill(PASSWORD);
    await person.id("sign-up-submit").click();
    await person.id("composer").waitFor();
    return person;
  }

  /** Somebody who has an account and tries this password. */
  static async signIn(browser, cluster, name, password) {
    const person = await Person.visit(browser, cluster);
    person.name = name;
    await person.id("sign-up-turn").click();
    await person.id("sign-in-name").fill(name);
    await person.id("sign-in-password").fill(password);
    await person.id("sign-in-submit").click();
    return person;
  }

  /** Somebody who has only opened the page. */
  static async visit(browser, cluster, address = cluster.url, options = {}) {
    const person = new Person();
    person.faults = [];
    person.context = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      locale: "en-GB",
      ...options,
    });
    person.page = await person.context.newPage();
    person.page.on("pageerror", (error) => person.faults.push(`page error: ${error.message}`));
    person.page.on("console", (message) => {
      // A gateway that is away makes failed requests: those are the test's doing.
      const expected = /Failed to load resource|WebSocket connection|ERR_/.test(message.text());
      if (message.type() === "error" && !expected) person.faults.push(message.text());
    });
    await person.page.goto(address);
    return person;
  }

  id(testId) {
    return this.page.locator(`[data-testid="${testId}"]`);
  }

  room(name) {
    return this.page.locator(`[data-testid="room-item"][data-room-name="${name}"]`);
  }

  async createRoom(name) {
    await this.id("new-room").click();
    await this.id("new-room-name").fill(name);
    await this.id("new-room-submit").click();
    await this.room(name).waitFor();
  }

  async joinRoom(name) {
    await this.id("browse-rooms").click();
    await this.page.locator(`[data-testid="join-room"][data-room-name="${name}"]`).click();
    await this.room(name).waitFor();
    await this.enter(name);
  }

  async enter(name) {
    if (await this.page.locator("dialog[open]").count()) await this.page.keyboard.press("Escape");
    await this.room(name).click();
  }

  async say(text, { button = false } = {}) {
    await this.id("composer").fill(text);
    if (button) await this.id("send").click();
    else await this.id("composer").press("Enter");
  }

  /** Text of all messages shown, in their order, with seq and state. */
  async messages() {
    return this.id("message").evaluateAll((nodes) =>
      nodes.map((node) => ({
        seq: Number(node.dataset.seq ?? 0),
        cid: node.dataset.cid ?? "",
        state: node.dataset.state ?? "",
        own: node.dataset.own === "true",
        text: node.querySelector(".message-body")?.textContent ?? "",
      })),
    );
  }

  async sees(text, timeout = 15_000) {
    const wanted = this.id("message").filter({ hasText: text }).first();
    await wanted.waitFor({ timeout }).catch(async () => {
      const shown = (await this.messages()).map((message) => `${message.seq} ${message.text}`);
      throw new Error(`${this.name} does not see "${text}" at ${this.page.url()}: ${shown}`);
    });
  }

  /** Waits until every own message is committed and `count` messages are shown. */
  async settled(count, timeout = 30_000) {
    await this.page.waitForFunction(
      (wanted) => {
        const nodes = [...document.querySelectorAll('[data-testid="message"]')];
        return nodes.length === wanted && nodes.every((node) => Number(node.dataset.seq) > 0);
      },
      count,
      { timeout },
    );
  }

  async close() {
    await this.context.close();
  }
}
