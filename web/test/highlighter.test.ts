// Goal: colours change no character of the code, and a language that is not known has none.

import assert from "node:assert/strict";
import test from "node:test";

import { highlight } from "../src/view/highlighter.ts";

test("the segments are the code, some of them with a scope", () => {
  const code = 'fn main() {\n    println!("<b>{}</b>", 1); // hi\n}\n';
  const segments = highlight(code, "rust");
  assert.equal(segments?.map((one) => one.text).join(""), code);
  const scopes = new Set(segments?.map((one) => one.scope));
  for (const wanted of ["hljs-keyword", "hljs-string", "hljs-comment"])
    assert.ok(scopes.has(wanted), wanted);
});

test("an unknown language has no colours", () => {
  assert.equal(highlight("x", "no-such-language"), undefined);
  assert.equal(highlight("x", "constructor"), undefined);
  assert.equal(highlight("x", "__proto__"), undefined);
});
