// The service worker: the page starts without a network. It keeps the page and its files, nothing
// that people wrote; rooms and the outbox are the page's own (localStorage, IndexedDB).

import { filesOf, strategyOf } from "./strategy.ts";

const CACHE = "chatterbox-shell";
const INDEX = "/";
/** A gateway that hangs must not keep the page from starting. */
const NETWORK_MS_MAX = 3_000;

/** What of a service worker's scope is used; the types of the library exclude those of a page. */
interface WorkerScope {
  readonly location: { readonly origin: string };
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(kind: "install" | "activate", run: (event: Lasting) => void): void;
  addEventListener(kind: "fetch", run: (event: Fetching) => void): void;
}
interface Lasting {
  waitUntil(done: Promise<unknown>): void;
}
interface Fetching extends Lasting {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

const scope = self as unknown as WorkerScope;

scope.addEventListener("install", (event) => {
  event.waitUntil(keepShell().then(() => scope.skipWaiting()));
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(scope.clients.claim());
});

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  switch (strategyOf(request, scope.location.origin)) {
    case "shell":
      event.respondWith(shell(event));
      return;
    case "asset":
      event.respondWith(asset(request));
      return;
    case "network":
      return;
  }
});

async function keepShell(): Promise<void> {
  await keep(await fetch(INDEX, { cache: "no-cache" }));
}

/** Keeps a page and the files that it names, and drops the files of the one before. */
async function keep(index: Response): Promise<void> {
  if (!index.ok) throw new Error(`the page was answered with ${index.status}`);
  const cache = await caches.open(CACHE);
  const html = await index.clone().text();
  const before = await (await cache.match(INDEX))?.text();
  if (before === html) return;
  await cache.addAll(filesOf(html));
  // Last: what is kept under this name is complete.
  await cache.put(INDEX, index);
  const wanted = new Set([INDEX, ...filesOf(html)]);
  for (const request of await cache.keys()) {
    if (!wanted.has(new URL(request.url).pathname)) await cache.delete(request);
  }
}

async function shell(event: Fetching): Promise<Response> {
  try {
    const answer = await fetch(event.request.url, {
      cache: "no-cache",
      credentials: "same-origin",
      signal: AbortSignal.timeout(NETWORK_MS_MAX),
    });
    if (answer.ok) {
      event.waitUntil(keep(answer.clone()).catch(() => {}));
      return answer;
    }
    return (await kept()) ?? answer;
  } catch (error) {
    const answer = await kept();
    if (answer === undefined) throw error;
    return answer;
  }
}

async function kept(): Promise<Response | undefined> {
  return (await caches.open(CACHE)).match(INDEX);
}

async function asset(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const found = await cache.match(request);
  if (found !== undefined) return found;
  const answer = await fetch(request);
  if (answer.ok && answer.type === "basic") await cache.put(request, answer.clone());
  return answer;
}
