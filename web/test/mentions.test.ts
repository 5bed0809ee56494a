// Goal: names of people and rooms are found where a reader sees them, and by the rule by which
// the replicas find them; no character is lost.

import assert from "node:assert/strict";
import test from "node:test";

import fc from "fast-check";

import { fold, mentions, type Names } from "../src/markdown/mentions.ts";

const NAMES: Names = {
  people: new Map(["alice", "Ann", "Ann Marie", "Jürgen", "o'neill"].map((n, i) => [fold(n), i + 1])),
  rooms: new Map(["general", "on-call", "straße"].map((n, i) => [fold(n), i + 1])),
};

function found(text: string): string[] {
  return mentions(text, NAMES).flatMap((part) => (part.kind === "text" ? [] : [part.text]));
}

test("people, everybody, rooms", () => {
  const cases: [string, string[]][] = [
    ["@alice hello", ["@alice"]],
    ["hello @ALICE, and @Ann.", ["@ALICE", "@Ann"]],
    ["@Ann Marie is not @Ann", ["@Ann Marie", "@Ann"]],
    ["@jürgen's", ["@jürgen"]],
    ["@o'neill", ["@o'neill"]],
    ["@alicex alice@a.example x@alice _@alice", []],
    ["@room: all", ["@room"]],
    ["#general and #on-call, not #on", ["#general", "#on-call"]],
    ["#STRASSE", ["#STRASSE"]],
    ["(@alice)", ["@alice"]],
    ["@nobody #nowhere @ #", []],
    ["@Ann\nMarie", ["@Ann"]],
  ];
  for (const [text, wanted] of cases) assert.deepEqual(found(text), wanted, text);
});

test("a person has a number, everybody has none", () => {
  const [person] = mentions("@alice", NAMES);
  assert.deepEqual(person, { kind: "person", text: "@alice", user: 1 });
  const [everybody] = mentions("@room", NAMES);
  assert.deepEqual(everybody, { kind: "person", text: "@room", user: undefined });
});

test("property: the parts are the text", () => {
  const piece = fc.constantFrom("@alice", "@", "#general", "#", " ", "@Ann", " Marie", "x", "\n", "🙂");
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 12 }), (pieces) => {
      const text = pieces.join("");
      assert.equal(mentions(text, NAMES).map((part) => part.text).join(""), text);
    }),
  );
});
