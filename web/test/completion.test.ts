// Goal: names are offered where a name is being typed and nowhere else, the likeliest first, and
// taking an offer changes nothing but the name.

import assert from "node:assert/strict";
import test from "node:test";

import fc from "fast-check";

import { accepted, type Offer, offersFor, OFFERS_MAX, questionAt } from "../src/composer/completion.ts";
import { emoji } from "../src/composer/emoji.ts";

/** `|` is the caret. */
function asked(text: string): string | undefined {
  const caret = text.indexOf("|");
  const question = questionAt(text.replace("|", ""), caret);
  return question === undefined ? undefined : `${question.trigger}${question.typed}`;
}

function names(...all: string[]): Offer[] {
  return all.map((name) => ({ name, insert: `@${name}` }));
}

test("where a name is being typed", () => {
  const cases: [string, string | undefined][] = [
    ["@|", "@"],
    ["hi @al|", "@al"],
    ["(#gen|", "#gen"],
    ["@al|ice", "@al"],
    ["one\n@b|", "@b"],
    [":smi|", ":smi"],
    [":s|", undefined],
    ["at 10:30|", undefined],
    ["https://a.example/#fra|", undefined],
    ["me@exa|", undefined],
    ["@al |", undefined],
    ["|@al", undefined],
    ["::sm|", undefined],
  ];
  for (const [text, wanted] of cases) assert.equal(asked(text), wanted, text);
});

test("the likeliest first, at most eight", () => {
  const order = offersFor("an", names("Jan", "Ann Marie", "Bob Andrews", "Ann", "Zoe"));
  assert.deepEqual(order.map((one) => one.name), ["Ann", "Ann Marie", "Bob Andrews", "Jan"]);
  assert.equal(offersFor("", names(..."abcdefghijkl")).length, OFFERS_MAX);
  assert.deepEqual(offersFor("xyz", names("Ann")), []);
});

test("an offer takes the place of what was typed, with one space behind it", () => {
  const take = (text: string, insert: string) => {
    const caret = text.indexOf("|");
    const plain = text.replace("|", "");
    const question = questionAt(plain, caret);
    assert.ok(question !== undefined);
    const result = accepted(plain, caret, question, { name: "x", insert });
    return `${result.text.slice(0, result.caret)}|${result.text.slice(result.caret)}`;
  };
  assert.equal(take("hi @al|", "@alice"), "hi @alice |");
  assert.equal(take("hi @al| and", "@alice"), "hi @alice |and");
  assert.equal(take(":smi|", "😄"), "😄 |");
});

test("property: only the question is replaced", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (before, behind) => {
      const text = `${before} @a${behind}`;
      const caret = before.length + 3;
      const question = questionAt(text, caret);
      if (question === undefined) return;
      const result = accepted(text, caret, question, { name: "alice", insert: "@alice" });
      assert.ok(result.text.startsWith(`${before} @alice`));
      assert.ok(result.text.endsWith(behind));
      assert.ok(result.caret <= result.text.length);
    }),
  );
});

test("emoji have the names that people know", () => {
  const by_name = new Map(emoji.map((one) => [one.name, one.insert]));
  for (const [name, symbol] of [["smile", "😄"], ["tada", "🎉"], ["+1", "👍"]] as const)
    assert.equal(by_name.get(name), symbol);
  assert.equal(by_name.size, emoji.length, "each name once");
});
