// Goal: the icon of the page says how many mentions there are, and every picture is there.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import test from "node:test";

import { iconOf } from "../src/view/badge.ts";

test("mentions are counted, what else is unread is a dot", () => {
  assert.equal(iconOf(false, 0), "/favicon.svg");
  assert.equal(iconOf(true, 0), "/favicon-unread.svg");
  assert.equal(iconOf(true, 1), "/favicon-1.svg");
  assert.equal(iconOf(true, 9), "/favicon-9.svg");
  assert.equal(iconOf(true, 10), "/favicon-9-plus.svg");
});

test("every picture is served", () => {
  for (let mentions = 0; mentions <= 10; mentions += 1)
    for (const is_unread of [false, true]) {
      const file = new URL(`../public${iconOf(is_unread, mentions)}`, import.meta.url);
      assert.ok(existsSync(file), file.pathname);
    }
});
