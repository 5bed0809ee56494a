// Who is signed in. Asks the gateway at the start, and again whenever a session ends.

import { signal } from "@preact/signals";

import { browserClock } from "../clock/clock.ts";
import type { Cluster, Me, SettingsAnswer, SignUp } from "../generated/frames.ts";
import * as accounts from "../http/accounts.ts";
import * as api from "../http/api.ts";
import { browserRandomBytes, makeCid } from "../outbox/cid.ts";
import { browserTabs } from "../outbox/tabs.ts";
import { backoffMs } from "../socket/backoff.ts";
import type { RoomEvent } from "../sync/event.ts";
import { RequestFailed } from "../sync/history.ts";
import type { RoomSync } from "../sync/room-sync.ts";
import { forgetUser, lastUser, rememberUser } from "./last-seen.ts";
import { invitation } from "./route.ts";
import { Workspace } from "./workspace.ts";

export type Session =
  | { kind: "asking"; unreachable: boolean }
  | { kind: "signed-out"; had_ended: boolean }
  | { kind: "signed-in"; workspace: Workspace };

export const session = signal<Session>({ kind: "asking", unreachable: false });

/** For the line on the first screen, before there is a socket. */
export const firstCluster = signal<Cluster | undefined>(undefined);

/** Who may make an account; unknown until somebody has answered. */
export const settings = signal<SettingsAnswer | undefined>(undefined);

/** Called for each message that arrives live; the view decides what a person should hear. */
export const arrivals: { listener: (room: RoomSync, event: RoomEvent) => void } = {
  listener: () => {},
};

const ASK_AGAIN_MS = 500;
const ANSWER_SOON_MS = 3_000;
const WISH_KEY = "chatterbox.sign-up";
const tabs = browserTabs(makeCid(Date.now(), browserRandomBytes));

/** Finds out who we are; tries until somebody answers. */
export async function ask(had_ended = false): Promise<void> {
  session.value = { kind: "asking", unreachable: false };
  void askCluster();
  for (let attempt = 0; ; attempt += 1) {
    try {
      enter(workspaceOf(await soon(api.me())));
      return;
    } catch (error) {
      if (error instanceof RequestFailed && !error.temporary) {
        forgetUser();
        session.value = { kind: "signed-out", had_ended };
        return;
      }
      const before = lastUser();
      if (before !== undefined) {
        // Its socket finds out whether the session still holds.
        enter(workspaceOf(before), "offline");
        return;
      }
      session.value = { kind: "asking", unreachable: true };
      await sleep(backoffMs(attempt, Math.random));
    }
  }
}

export async function askCluster(): Promise<void> {
  try {
    firstCluster.value = await api.cluster();
  } catch {
    // The line stays as it was; the next call asks again.
  }
}

export async function askSettings(): Promise<void> {
  try {
    settings.value = await accounts.settings();
  } catch {
    // As with the cluster.
  }
}

/** Rejects with `RequestFailed`; calling it again with the same name repeats the same wish. */
export async function signUp(name: string, password: string, secret?: string): Promise<void> {
  const wish = { ...wishFor(name), password, ...(secret !== undefined && { invitation: secret }) };
  const user = await api.signUp(wish).catch((error: unknown) => {
    // A refusal answers its `cid` for ever: the next try is another wish.
    if (error instanceof RequestFailed && !error.temporary) sessionStorage.removeItem(WISH_KEY);
    throw error;
  });
  sessionStorage.removeItem(WISH_KEY);
  invitation.value = undefined;
  const workspace = workspaceOf(user);
  await workspace.forget().catch(() => {
    // Without a storage there is nothing to forget.
  });
  enter(workspace);
}

/** Rejects with `RequestFailed`. What this device has of the account, such as drafts, is kept. */
export async function signIn(name: string, password: string): Promise<void> {
  const user = await accounts.signIn({ cid: newCid(), name, password, secret: makeSecret() });
  enter(workspaceOf(user));
}

export async function signOut(workspace: Workspace): Promise<void> {
  await api.signOut();
  await workspace.forget().catch(() => {});
  workspace.stop();
  forgetUser();
  session.value = { kind: "signed-out", had_ended: false };
  void askCluster();
}

function workspaceOf(user: Me): Workspace {
  const workspace: Workspace = new Workspace(user, firstCluster.value, tabs, {
    ended: () => {
      workspace.stop();
      session.value = { kind: "asking", unreachable: false };
      // Not at once: a socket and `me` that disagree must not chase each other.
      browserClock.after(ASK_AGAIN_MS, () => void ask(true));
    },
    arrived: (room, event) => arrivals.listener(room, event),
  });
  return workspace;
}

function enter(workspace: Workspace, how: "online" | "offline" = "online"): void {
  rememberUser(workspace.user);
  session.value = { kind: "signed-in", workspace };
  if (how === "online") workspace.start();
  else workspace.startOffline();
}

/** Whoever was here before does not wait for a gateway that hangs. */
function soon<Answer>(answer: Promise<Answer>): Promise<Answer> {
  if (lastUser() === undefined) return answer;
  const late = sleep(ANSWER_SOON_MS).then(() => {
    throw new RequestFailed("internal", "no answer yet", true);
  });
  return Promise.race([answer, late]);
}

/** Kept until the answer, also over a reload: a retry must end with the account of the first try. */
function wishFor(name: string): SignUp {
  const stored = sessionStorage.getItem(WISH_KEY);
  const before = stored === null ? undefined : (JSON.parse(stored) as SignUp);
  if (before?.name === name) return before;
  const wish = { cid: makeCid(Date.now(), browserRandomBytes), name, secret: makeSecret() };
  sessionStorage.setItem(WISH_KEY, JSON.stringify(wish));
  return wish;
}

/** For a request over HTTP. */
export function newCid(): string {
  return makeCid(Date.now(), browserRandomBytes);
}

/** 48 characters of `A-Z a-z 0-9 - _`. */
export function makeSecret(): string {
  const bytes = browserRandomBytes(36);
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_");
}

function sleep(delay_ms: number): Promise<void> {
  return new Promise((resolve) => browserClock.after(delay_ms, resolve));
}
