// The people whose names this page has seen, so that a name in a text is known for one. Kept for
// the page's life; who is missing stays plain text until they are met.

import { signal } from "@preact/signals";

import type { Person } from "../generated/frames.ts";

/** By number. A new map whenever somebody is met, or has another name. */
export const people = signal<ReadonlyMap<number, Person>>(new Map());

export function learnPeople(persons: readonly Person[]): void {
  const news = persons.filter(
    ({ id, name }) => id !== 0 && name !== "" && people.peek().get(id)?.name !== name,
  );
  if (news.length === 0) return;
  people.value = new Map([...people.peek(), ...news.map((one) => [one.id, one] as const)]);
}

/** Another account may be in other rooms. */
export function forgetPeople(): void {
  people.value = new Map();
}
