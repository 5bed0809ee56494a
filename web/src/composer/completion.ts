// What the composer offers while a name is typed: `@` people, `#` rooms, `:` emoji.
//
// Pure. Tests: test/completion.test.ts

import { best } from "./rank.ts";

export type Trigger = "@" | "#" | ":";

/** A name that is being typed: from its sign up to the caret. */
export interface Question {
  trigger: Trigger;
  /** Without the sign, as typed. */
  typed: string;
  /** Where the sign stands in the text. */
  start: number;
}

export interface Offer {
  /** What is looked for; unique among the offers. */
  name: string;
  /** What stands in the text afterwards. */
  insert: string;
  /** Shown before the name. */
  symbol?: string;
  /** Shown behind the name. */
  note?: string;
}

export const OFFERS_MAX = 8;

/** A word has begun with the sign, and no letter stands before it. */
const QUESTION = /(?<![\p{L}\p{N}_:/@#])([@#:])([^\s@#:`]{0,32})$/u;
/** One letter is too little to mean an emoji: `:D` and `10:3` are not names. */
const EMOJI_CHARS_MIN = 2;

/** Nothing when no name is being typed before the caret. */
export function questionAt(text: string, caret: number): Question | undefined {
  const line_start = text.lastIndexOf("\n", caret - 1) + 1;
  const found = QUESTION.exec(text.slice(line_start, caret));
  if (found === null) return undefined;
  const [, trigger, typed] = found as unknown as [string, Trigger, string];
  if (trigger === ":" && !/^[a-z0-9_+-]+$/i.test(typed)) return undefined;
  if (trigger === ":" && typed.length < EMOJI_CHARS_MIN) return undefined;
  return { trigger, typed, start: line_start + found.index };
}

export function offersFor(typed: string, offers: readonly Offer[]): Offer[] {
  return best(typed, offers, (offer) => offer.name, OFFERS_MAX);
}

/** The text with the offer in the place of the question, and where the caret stands then. */
export function accepted(
  text: string,
  caret: number,
  question: Question,
  offer: Offer,
): { text: string; caret: number } {
  const behind = text.slice(caret);
  const inserted = offer.insert + (/^\s/.test(behind) ? "" : " ");
  const before = text.slice(0, question.start) + inserted;
  const skip = /^\s/.test(behind) ? 1 : 0;
  return { text: before + behind, caret: before.length + skip };
}
