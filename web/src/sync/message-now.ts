// What a message is by now: the form in which it was read, and the later events that concern it.
//
// Each read of history gives a message as it was at some moment and says up to which event (`rev`);
// whatever later event stands in the log is applied on top, in order. An event that the form
// contains already is not applied twice. Pure. Tests: test/message-now.test.ts

import type { Edit, Person, Reaction, UserId } from "../generated/frames.ts";
import type { MessageEvent, RoomEvent, Seq } from "./event.ts";
import type { Piece } from "./room-log.ts";

/** An event that changes a message. */
export type ChangeEvent = Extract<RoomEvent, { of: Seq }>;

export interface MessageNow {
  body: string;
  deleted: boolean;
  /** By a moderator. */
  taken_away: boolean;
  edited: Edit | undefined;
  pinned: boolean;
  /** Messages that answer it. */
  replies: number;
  reactions: readonly Reaction[];
  mentions: readonly UserId[];
}

/** The events of a log that concern each message, by its `seq`, in order. */
export type Changes = ReadonlyMap<Seq, readonly RoomEvent[]>;

export function isChange(event: RoomEvent): event is ChangeEvent {
  return "of" in event;
}

/** Events that are seen at their message only, not as a row of their own. */
export function isHidden(event: RoomEvent): boolean {
  return isChange(event) && event.kind !== "pinned";
}

export function changesOf(pieces: readonly Piece[]): Changes {
  const changes = new Map<Seq, RoomEvent[]>();
  for (const piece of pieces) {
    if (piece.kind === "gap") continue;
    for (const event of piece.events) {
      const of = isChange(event) ? event.of : event.kind === "message" ? event.reply_to : undefined;
      if (of === undefined) continue;
      const known = changes.get(of);
      if (known === undefined) changes.set(of, [event]);
      else known.push(event);
    }
  }
  return changes;
}

export function messageNow(message: MessageEvent, changes: Changes): MessageNow {
  let now: MessageNow = {
    body: message.body,
    deleted: message.deleted ?? false,
    taken_away: message.taken_away_by !== undefined,
    edited: message.edited,
    pinned: message.pinned !== undefined,
    replies: message.replies ?? 0,
    reactions: message.reactions ?? [],
    mentions: message.mentions ?? [],
  };
  for (const event of changes.get(message.seq) ?? []) {
    if (event.seq > (message.rev ?? 0)) now = changed(now, event, message.author.id);
  }
  return now;
}

function changed(now: MessageNow, event: RoomEvent, author: UserId): MessageNow {
  switch (event.kind) {
    case "message":
      return { ...now, replies: now.replies + 1 };
    case "edited":
      if (now.deleted) return now;
      return {
        ...now,
        body: event.body,
        edited: { seq: event.seq, ts: event.ts },
        mentions: event.mentions ?? [],
      };
    case "deleted":
      return {
        body: "",
        deleted: true,
        taken_away: event.author.id !== author,
        edited: undefined,
        pinned: false,
        replies: now.replies,
        reactions: [],
        mentions: [],
      };
    case "reaction_added":
      return { ...now, reactions: withReaction(now.reactions, event.emoji, event.author) };
    case "reaction_removed":
      return { ...now, reactions: withoutReaction(now.reactions, event.emoji, event.author) };
    case "pinned":
      return { ...now, pinned: true };
    case "unpinned":
      return { ...now, pinned: false };
    default:
      return now;
  }
}

function withReaction(
  reactions: readonly Reaction[],
  emoji: string,
  person: Person,
): readonly Reaction[] {
  const known = reactions.find((one) => one.emoji === emoji);
  if (known === undefined) return [...reactions, { emoji, people: [person] }];
  if (known.people.some((one) => one.id === person.id)) return reactions;
  return reactions.map((one) =>
    one === known ? { emoji, people: [...one.people, person] } : one,
  );
}

function withoutReaction(
  reactions: readonly Reaction[],
  emoji: string,
  person: Person,
): readonly Reaction[] {
  return reactions.flatMap((one) => {
    if (one.emoji !== emoji) return [one];
    const people = one.people.filter((other) => other.id !== person.id);
    return people.length === 0 ? [] : [{ emoji, people }];
  });
}
