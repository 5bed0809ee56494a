// Goal: the worker answers for the page and its files, and never for anything that people wrote.

import assert from "node:assert/strict";
import test from "node:test";

import { filesOf, strategyOf } from "../src/service-worker/strategy.ts";

const ORIGIN = "https://chat.example";

function asked(path: string, mode = "cors", method = "GET"): string {
  return strategyOf({ url: new URL(path, ORIGIN).href, mode, method }, ORIGIN);
}

test("pages and files are kept", () => {
  assert.equal(asked("/", "navigate"), "shell");
  assert.equal(asked("/index.html", "navigate"), "shell");
  assert.equal(asked("/assets/index-x.js", "no-cors"), "asset");
  assert.equal(asked("/favicon.svg", "no-cors"), "asset");
});

test("what people wrote, and what changes something, goes to the gateway alone", () => {
  for (const path of ["/api/v1/me", "/api/v1/rooms/1/events?after=1", "/health/ready", "/ws", "/sw.js"])
    assert.equal(asked(path), "network", path);
  for (const path of ["/api/v1/cluster", "/health/live"])
    assert.equal(asked(path, "navigate"), "network", path);
  assert.equal(asked("/", "navigate", "POST"), "network");
  assert.equal(asked("https://other.example/assets/x.js"), "network");
});

test("the files of a page are those that it names, and the icons", () => {
  const html = '<script type="module" src="/assets/a-1.js"></script><link href="/assets/b-2.css">';
  assert.deepEqual(filesOf(html), [
    "/assets/a-1.js",
    "/assets/b-2.css",
    "/favicon.svg",
    "/favicon-unread.svg",
    "/manifest.webmanifest",
  ]);
});
