// Which language the page speaks: the browser's, until the person chooses another.

import { computed, signal } from "@preact/signals";

import { de } from "./de.ts";
import { en, type Words } from "./en.ts";

const TABLES = { en, de } satisfies Record<string, Words>;
const KEY = "chatterbox.language";

export type Language = keyof typeof TABLES;
export const LANGUAGES = Object.keys(TABLES) as Language[];

function isLanguage(value: string | null | undefined): value is Language {
  return value !== null && value !== undefined && Object.hasOwn(TABLES, value);
}

function preferred(): Language {
  const chosen = localStorage.getItem(KEY);
  if (isLanguage(chosen)) return chosen;
  return navigator.languages.map((tag) => tag.split("-")[0]).find(isLanguage) ?? "en";
}

export const language = signal<Language>(preferred());
export const words = computed<Words>(() => TABLES[language.value]);

export function choose(chosen: Language): void {
  localStorage.setItem(KEY, chosen);
  language.value = chosen;
}

export function nameOf(one: Language): string {
  return TABLES[one].language;
}
