// The gateway's HTTP interface (docs/protocol.md, section 1).

import type {
  BreakReplica,
  Cluster,
  DemoFault,
  ErrorAnswer,
  Joined,
  Me,
  MeAnswer,
  MembersAnswer,
  MessagesAnswer,
  Person,
  RoomsAnswer,
  RoomSummary,
  SearchAnswer,
  SignUp,
  SlotAnswer,
  UnreadAnswer,
} from "../generated/frames.ts";
import type { RoomId, Seq } from "../sync/event.ts";
import { type History, type Page, RequestFailed } from "../sync/history.ts";

/** A page must not hang for ever on a gateway that died in the middle of an answer. */
const ANSWER_MS_MAX = 15_000;

export async function me(): Promise<Me> {
  return (await get<MeAnswer>("/api/v1/me")).user;
}

export function cluster(): Promise<Cluster> {
  return get<Cluster>("/api/v1/cluster");
}

/** Breaks a replica on purpose, in a demo. */
export async function breakReplica(node: number, fault: DemoFault): Promise<void> {
  await request(`/api/v1/demo/${node}`, withBody("POST", { fault } satisfies BreakReplica));
}

/** Where in the cluster an entry of the log is. */
export function slot(slot: number): Promise<SlotAnswer> {
  return get<SlotAnswer>(`/api/v1/slots/${slot}`);
}

/** The same wish over and over makes one account and one session. */
export async function signUp(wish: SignUp): Promise<Me> {
  return (await request<MeAnswer>("/api/v1/sign-up", withBody("POST", wish))).user;
}

export async function signOut(): Promise<void> {
  await request("/api/v1/sign-out", withBody("POST", {}));
}

export async function rooms(): Promise<RoomSummary[]> {
  return (await get<RoomsAnswer>("/api/v1/rooms")).rooms;
}

export async function members(room: RoomId, min_slot: number): Promise<Person[]> {
  const path = `/api/v1/rooms/${room}/members?min_slot=${min_slot}`;
  return (await get<MembersAnswer>(path)).members;
}

export const history: History = {
  page(room: RoomId, of, limit, min_slot) {
    const [side, seq] = "after" in of ? ["after", of.after] : ["before", of.before];
    return get<Page>(
      `/api/v1/rooms/${room}/events?${side}=${seq}&limit=${limit}&min_slot=${min_slot}`,
    );
  },
};

/** The rooms of the person, with read markers and counts. */
export async function unread(min_slot: number): Promise<Joined[]> {
  return (await get<UnreadAnswer>(`/api/v1/unread?min_slot=${min_slot}`)).rooms;
}

/** The answers to a message after `after`, ascending. */
export function replies(
  room: RoomId,
  of: Seq,
  after: Seq,
  min_slot: number,
): Promise<MessagesAnswer> {
  const query = `after=${after}&limit=200&min_slot=${min_slot}`;
  return get(`/api/v1/rooms/${room}/messages/${of}/replies?${query}`);
}

/** A message as it was written, and its edits. */
export function versions(room: RoomId, of: Seq, min_slot: number): Promise<MessagesAnswer> {
  return get(`/api/v1/rooms/${room}/messages/${of}/versions?limit=200&min_slot=${min_slot}`);
}

/** What the person may see of what is typed; `cursor`: `next` of the page before. */
export function search(
  typed: string,
  cursor: number | undefined,
  min_slot: number,
): Promise<SearchAnswer> {
  const page = cursor === undefined ? "" : `&cursor=${cursor}`;
  return get(`/api/v1/search?q=${encodeURIComponent(typed)}${page}&min_slot=${min_slot}`);
}

/** What is pinned, the latest pin first. */
export function pins(room: RoomId, min_slot: number): Promise<MessagesAnswer> {
  return get(`/api/v1/rooms/${room}/pins?limit=200&min_slot=${min_slot}`);
}

export function get<Answer>(path: string): Promise<Answer> {
  return request<Answer>(path, { method: "GET" });
}

export function withBody(method: "POST" | "PATCH", body: object): RequestInit {
  return {
    method,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
}

export async function request<Answer>(path: string, init: RequestInit): Promise<Answer> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(path, {
      ...init,
      cache: "no-store",
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    text = await response.text();
  } catch (error) {
    throw new RequestFailed("internal", String(error), true);
  }
  const answer = parse(text) as (Answer & Partial<ErrorAnswer>) | undefined;
  if (answer?.error !== undefined) {
    throw new RequestFailed(answer.error.code, answer.error.message, answer.error.temporary);
  }
  if (!response.ok)
    throw new RequestFailed("internal", `status ${response.status}`, response.status >= 500);
  return answer as Answer;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
