// Random histories with changes of messages.

import fc from "fast-check";

import type { Wish } from "./changes.ts";

const person = fc.integer({ min: 1, max: 3 });
const mentions = fc.uniqueArray(fc.integer({ min: 0, max: 3 }), { maxLength: 2 });
const of = fc.nat({ max: 12 });

const anyWish: fc.Arbitrary<Wish> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("post" as const),
      by: person,
      reply_to: fc.nat({ max: 20 }),
      mentions,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("edit" as const), of, mentions }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), of }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("react" as const),
      by: person,
      of,
      emoji: fc.constantFrom("👍", "❤️"),
      on: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("pin" as const), of, on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("join" as const), by: person }) },
);

export const anyWishes = fc.array(anyWish, { minLength: 1, maxLength: 30 });
