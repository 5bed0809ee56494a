// Which names fit what was typed, and how well. Pure. Tests: test/completion.test.ts

import { fold } from "../markdown/mentions.ts";

/** Best first: the name begins so, a word of it does, it contains it; the shorter before the longer. */
export function best<Thing>(
  typed: string,
  things: readonly Thing[],
  nameOf: (thing: Thing) => string,
  count_max: number,
): Thing[] {
  const wanted = fold(typed);
  const ranked = things.flatMap((thing) => {
    const name = nameOf(thing);
    const rank = rankOf(fold(name), wanted);
    return rank === undefined ? [] : [{ rank, length: name.length, thing }];
  });
  // Whoever typed nothing sees them in their own order.
  if (wanted !== "") ranked.sort((a, b) => a.rank - b.rank || a.length - b.length);
  return ranked.slice(0, count_max).map(({ thing }) => thing);
}

function rankOf(name: string, wanted: string): number | undefined {
  if (name.startsWith(wanted)) return 0;
  if (name.split(/[\s_-]+/).some((word) => word.startsWith(wanted))) return 1;
  return name.includes(wanted) ? 2 : undefined;
}
