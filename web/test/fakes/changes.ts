// A room with changes of messages, as naive as possible: each state is made from the first event
// on, and each message can be read as a replica would give it after any number of events.

import type { MessageEvent, RoomEvent } from "../../src/sync/event.ts";

export type Wish =
  | { do: "post"; by: number; reply_to: number; mentions: number[] }
  | { do: "edit"; of: number; mentions: number[] }
  | { do: "delete"; of: number }
  | { do: "react"; by: number; of: number; emoji: string; on: boolean }
  | { do: "pin"; of: number; on: boolean }
  | { do: "join"; by: number };

/** The events that a state machine would make of the wishes; what changes nothing makes none. */
export function eventsOf(wishes: readonly Wish[]): RoomEvent[] {
  const events: RoomEvent[] = [];
  for (const wish of wishes) {
    const messages = events.filter((event) => event.kind === "message");
    const seq = events.length + 1;
    const base = (by: number) => ({ seq, slot: seq, ts: seq * 1_000, author: person(by) });
    const target = "of" in wish ? messages[wish.of % Math.max(1, messages.length)] : undefined;
    const state = target === undefined ? undefined : stateAfter(events, events.length).get(target.seq);
    if ("of" in wish && (target === undefined || state === undefined || state.deleted)) continue;
    const of = target?.seq ?? 0;
    switch (wish.do) {
      case "post": {
        const root = messages[wish.reply_to];
        events.push({
          ...base(wish.by),
          kind: "message",
          msg_no: messages.length + 1,
          cid: `c${seq}`,
          body: `text ${seq}`,
          ...(root !== undefined && { reply_to: root.seq }),
          mentions: wish.mentions.filter((user) => user !== wish.by),
        });
        break;
      }
      case "edit": {
        const by = state?.author ?? 0;
        const mentions = wish.mentions.filter((user) => user !== by);
        events.push({ ...base(by), kind: "edited", of, body: `edit ${seq}`, mentions });
        break;
      }
      case "delete":
        events.push({ ...base(state?.author ?? 0), kind: "deleted", of });
        break;
      case "react": {
        const has = state?.reactions.some(([e, who]) => e === wish.emoji && who === wish.by);
        if (has === wish.on) break;
        const kind = wish.on ? "reaction_added" : "reaction_removed";
        events.push({ ...base(wish.by), kind, of, emoji: wish.emoji });
        break;
      }
      case "pin":
        if (state?.pinned === wish.on) break;
        events.push({ ...base(1), kind: wish.on ? "pinned" : "unpinned", of });
        break;
      case "join":
        events.push({ ...base(wish.by), kind: "joined" });
        break;
    }
  }
  return events;
}

function person(id: number): { id: number; name: string } {
  return { id, name: `u${id}` };
}

export interface State {
  author: number;
  body: string;
  deleted: boolean;
  pinned: boolean;
  edited: number;
  replies: number;
  reactions: [string, number][];
  mentions: number[];
  rev: number;
}

/** Each message by its `seq`, after the first `count` events. */
export function stateAfter(events: readonly RoomEvent[], count: number): Map<number, State> {
  const states = new Map<number, State>();
  for (const event of events.slice(0, count)) {
    if (event.kind === "message") {
      states.set(event.seq, {
        author: event.author.id,
        body: event.body,
        deleted: false,
        pinned: false,
        edited: 0,
        replies: 0,
        reactions: [],
        mentions: event.mentions ?? [],
        rev: 0,
      });
      const root = states.get(event.reply_to ?? 0);
      if (root !== undefined) {
        root.replies += 1;
        root.rev = event.seq;
      }
    }
    if (!("of" in event)) continue;
    const state = states.get(event.of);
    if (state === undefined) continue;
    state.rev = event.seq;
    if (event.kind === "edited") {
      state.body = event.body;
      state.edited = event.seq;
      state.mentions = event.mentions ?? [];
    }
    if (event.kind === "deleted") {
      Object.assign(state, { body: "", deleted: true, pinned: false, edited: 0 });
      Object.assign(state, { reactions: [], mentions: [] });
    }
    if (event.kind === "reaction_added") state.reactions.push([event.emoji, event.author.id]);
    if (event.kind === "reaction_removed")
      state.reactions = state.reactions.filter(
        ([emoji, by]) => emoji !== event.emoji || by !== event.author.id,
      );
    if (event.kind === "pinned" || event.kind === "unpinned")
      state.pinned = event.kind === "pinned";
  }
  return states;
}

/** An event as a replica gives it that has applied the first `count` events. */
export function readAt(event: RoomEvent, events: readonly RoomEvent[], count: number): RoomEvent {
  if (event.kind !== "message") return event;
  const state = stateAfter(events, count).get(event.seq);
  if (state === undefined || state.rev === 0) return event;
  const reactions = [...new Set(state.reactions.map(([emoji]) => emoji))].map((emoji) => ({
    emoji,
    people: state.reactions.filter(([e]) => e === emoji).map(([, by]) => person(by)),
  }));
  const { mentions: _then, ...rest } = event;
  return {
    ...(rest as MessageEvent),
    body: state.body,
    rev: state.rev,
    ...(state.deleted && { deleted: true }),
    ...(state.edited > 0 && { edited: { seq: state.edited, ts: state.edited * 1_000 } }),
    ...(state.pinned && { pinned: state.rev }),
    ...(state.replies > 0 && { replies: state.replies }),
    ...(reactions.length > 0 && { reactions }),
    ...(state.mentions.length > 0 && { mentions: state.mentions }),
  };
}

/** What is unread, from nothing: the messages of others behind the marker that are not deleted. */
export function recomputed(
  events: readonly RoomEvent[],
  read: number,
  own_id: number,
): { count: number; mentions: number } {
  const news = [...stateAfter(events, events.length)].filter(
    ([seq, state]) => seq > read && state.author !== own_id && !state.deleted,
  );
  const mentions = news.filter(([, state]) =>
    state.mentions.some((user) => user === own_id || user === 0),
  );
  return { count: news.length, mentions: mentions.length };
}
