// The names of people and rooms in a text: `@name`, `@room` for everybody, `#room`.
//
// A mention begins where no letter, digit or `_` stands before it (an address of mail is none) and
// ends where a word ends; of several names that fit the longest counts; letter case does not
// matter. Pure. Tests: test/mentions.test.ts

import type { RoomId, UserId } from "../generated/frames.ts";

export interface Names {
  /** By folded name. */
  people: ReadonlyMap<string, UserId>;
  /** By folded name: the rooms that the person can open. */
  rooms: ReadonlyMap<string, RoomId>;
}

export type Part =
  | { kind: "text"; text: string }
  /** Without a user: everybody in the room. */
  | { kind: "person"; text: string; user: UserId | undefined }
  | { kind: "room"; text: string; room: RoomId };

/** What means everybody. */
export const EVERYBODY = "room";

/** A name has at most so many characters, the longer kind being that of a room. */
const NAME_CHARS_MAX = 64;
/** Only so many of one text: a wall of `@` is no message to anybody. */
const MENTIONS_MAX = 200;

const BEGIN = /(?<![\p{L}\p{N}_])[@#]/gu;
const OF_WORD = /[\p{L}\p{N}_]/u;

/** The same for names that are the same to the replicas (machine/src/names.rs). */
export function fold(name: string): string {
  return name.toLowerCase().toUpperCase().toLowerCase().replace(/\s+/gu, " ").trim();
}

export function mentions(text: string, names: Names): Part[] {
  const parts: Part[] = [];
  let end = 0;
  let count = 0;
  for (const match of text.matchAll(BEGIN)) {
    if (match.index < end || count === MENTIONS_MAX) continue;
    const found = nameAt(text, match.index, names);
    if (found === undefined) continue;
    if (match.index > end) parts.push({ kind: "text", text: text.slice(end, match.index) });
    parts.push(found);
    end = match.index + found.text.length;
    count += 1;
  }
  if (end < text.length) parts.push({ kind: "text", text: text.slice(end) });
  return parts;
}

function nameAt(text: string, at: number, names: Names): Part | undefined {
  const rest = text.slice(at + 1, at + 1 + NAME_CHARS_MAX * 2).split("\n", 1)[0] ?? "";
  const is_person = text[at] === "@";
  for (const name of candidates(rest)) {
    const folded = fold(name);
    const shown = (text[at] ?? "") + name;
    if (!is_person) {
      const room = names.rooms.get(folded);
      if (room !== undefined) return { kind: "room", text: shown, room };
    } else if (folded === EVERYBODY) {
      return { kind: "person", text: shown, user: undefined };
    } else {
      const user = names.people.get(folded);
      if (user !== undefined) return { kind: "person", text: shown, user };
    }
  }
  return undefined;
}

/** The beginnings of a text that end where a word ends, the longest first. */
function candidates(rest: string): string[] {
  const found: string[] = [];
  const chars = [...rest].slice(0, NAME_CHARS_MAX);
  let name = "";
  for (const char of chars) {
    name += char;
    const next = [...rest.slice(name.length, name.length + 2)][0];
    const is_end = next === undefined || !OF_WORD.test(next);
    if (is_end && !/\s/u.test(char)) found.push(name);
  }
  return found.reverse();
}
