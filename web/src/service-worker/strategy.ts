// What the service worker does with a request. Pure. Tests: test/service-worker.test.ts

/**
 * `shell`: a page of ours; the network first, what is kept when it does not answer.
 * `asset`: never changes under its name; what is kept first.
 * `network`: not ours to answer: messages are never served from a cache.
 */
export type Strategy = "shell" | "asset" | "network";

export interface Asked {
  method: string;
  mode: string;
  url: string;
}

const ASSETS = "/assets/";
/** Named by index.html under names that stay: kept with the shell. */
const BESIDE = ["/favicon.svg", "/favicon-unread.svg", "/manifest.webmanifest"];

export function strategyOf({ method, mode, url }: Asked, origin: string): Strategy {
  const { origin: theirs, pathname } = new URL(url);
  if (method !== "GET" || theirs !== origin) return "network";
  if (pathname.startsWith(ASSETS) || BESIDE.includes(pathname)) return "asset";
  if (mode !== "navigate") return "network";
  return /^\/(?:api|ws|health)(?:\/|$)/.test(pathname) ? "network" : "shell";
}

/** The files without which the page does not start. */
export function filesOf(index_html: string): string[] {
  const named = [...index_html.matchAll(/"(\/assets\/[\w.-]+)"/g)].flatMap((found) => found[1] ?? []);
  return [...new Set([...named, ...BESIDE])];
}
