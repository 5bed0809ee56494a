// Goal: only http and https become links, the sentence around an address stays outside of it, and
// no character of the text is lost.

import assert from "node:assert/strict";
import test from "node:test";

import fc from "fast-check";

import { linkify } from "../src/view/linkify.ts";

function addresses(text: string): string[] {
  return linkify(text).flatMap((part) => (part.kind === "link" ? [part.text] : []));
}

test("addresses end where a reader would end them", () => {
  const cases: [string, string[]][] = [
    ["see https://a.example/b.", ["https://a.example/b"]],
    ["(https://a.example/b)", ["https://a.example/b"]],
    ["https://a.example/x_(y)", ["https://a.example/x_(y)"]],
    [
      "https://a.example/?q=1&r=2#s, and http://b.example!",
      ["https://a.example/?q=1&r=2#s", "http://b.example"],
    ],
    ["HTTPS://A.EXAMPLE", ["HTTPS://A.EXAMPLE"]],
    ["nohttps://a.example", []],
    ["no link", []],
  ];
  for (const [text, wanted] of cases) assert.deepEqual(addresses(text), wanted, text);
});

test("no other scheme becomes a link", () => {
  for (const text of [
    "javascript:alert(1)",
    "data:text/html,x",
    "ftp://a.example",
    "file:///etc/passwd",
    "https://",
  ]) {
    assert.deepEqual(addresses(text), [], text);
  }
});

test("property: the parts are the text, and every address is http or https", () => {
  const piece = fc.constantFrom(
    "https://",
    "http://",
    "javascript:",
    "a.example",
    "/x",
    "(",
    ")",
    ".",
    " ",
    "\n",
    "<",
    '"',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 12 }), (pieces) => {
      const text = pieces.join("");
      const parts = linkify(text);
      assert.equal(parts.map((part) => part.text).join(""), text);
      for (const part of parts)
        if (part.kind === "link") assert.match(part.address, /^https?:\/\//);
    }),
  );
});
