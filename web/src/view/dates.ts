// Moments in the language and the time zone of the person.

import { language, words } from "../i18n/language.ts";

const DAY_MS = 86_400_000;

export function dayOf(ts: number): string {
  const date = new Date(ts);
  return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;
}

export function dayName(ts: number): string {
  const now = Date.now();
  if (dayOf(ts) === dayOf(now)) return words.value.timeline.today;
  if (dayOf(ts) === dayOf(now - DAY_MS)) return words.value.timeline.yesterday;
  const is_this_year = new Date(ts).getFullYear() === new Date(now).getFullYear();
  return new Intl.DateTimeFormat(locale(), {
    weekday: "long",
    day: "numeric",
    month: "long",
    ...(!is_this_year && { year: "numeric" }),
  }).format(ts);
}

export function timeOfDay(ts: number): string {
  return new Intl.DateTimeFormat(locale(), { hour: "2-digit", minute: "2-digit" }).format(ts);
}

export function fullMoment(ts: number): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "full", timeStyle: "medium" }).format(ts);
}

/** The browser's own region where it speaks the chosen language: 15:04 in Leeds, 3:04 PM in Boston. */
function locale(): string {
  return navigator.languages.find((tag) => tag.split("-")[0] === language.value) ?? language.value;
}
