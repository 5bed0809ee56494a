// The names of emoji, as on GitHub. A chunk of its own, loaded when the first `:` is typed.

import { gemoji } from "gemoji";

import type { Offer } from "./completion.ts";

export const emoji: readonly Offer[] = gemoji.flatMap(({ emoji: symbol, names }) =>
  names.map((name) => ({ name, insert: symbol, symbol })),
);
