// Goal: whatever is written, nothing but known nodes comes out, and no address but of the web or
// of mail. (What Chromium does with the same texts: tests/browser/hostile.test.mjs.)

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import fc from "fast-check";

import { type Block, type Inline, parse } from "../src/markdown/parse.ts";

const PAYLOADS = JSON.parse(
  readFileSync(new URL("payloads.json", import.meta.url), "utf8"),
) as string[];

function inlinesOf(block: Block): readonly Inline[] {
  switch (block.kind) {
    case "paragraph":
    case "heading":
      return block.children;
    case "quote":
      return block.children.flatMap(inlinesOf);
    case "list":
      return block.items.flatMap((item) => item.children).flatMap(inlinesOf);
    case "table":
      return [...block.head, ...block.rows.flat()].flat();
    case "code":
    case "rule":
      return [];
  }
}

function addresses(parts: readonly Inline[]): string[] {
  return parts.flatMap((part) => [
    ...(part.kind === "link" ? [part.address] : []),
    ...("children" in part ? addresses(part.children) : []),
  ]);
}

function assertHarmless(text: string): void {
  for (const address of parse(text).flatMap(inlinesOf).flatMap((part) => addresses([part])))
    assert.match(address, /^(?:https?:\/\/[^@/]*(?:[/?#]|$)|mailto:)/, `${text} → ${address}`);
}

test("at least 100 hostile texts", () => {
  assert.ok(PAYLOADS.length >= 100, String(PAYLOADS.length));
  for (const text of PAYLOADS) assertHarmless(text);
});

test("property: hostile pieces in any order lead nowhere else", () => {
  const piece = fc.oneof(
    fc.constantFrom(...PAYLOADS),
    fc.constantFrom("[", "](", ")", "<", ">", "javascript:", "https://", "`", "|", "\n", "*", "_"),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => assertHarmless(pieces.join(""))),
    { numRuns: 2_000 },
  );
});
