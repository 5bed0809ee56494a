// Unread is derived from the log and the read marker each time it is asked for; nothing counts
// along, so nothing can drift (C5). What is not loaded is taken from the gateway's own count, as of
// the marker and the head that it was made for.
//
// Pure. Tests: test/unread.test.ts, test/unread-property.test.ts

import type { RoomEvent, Seq } from "./event.ts";
import { changesOf, messageNow } from "./message-now.ts";
import type { Piece } from "./room-log.ts";

/** The gateway counts no further, and the page shows "99+". */
export const UNREAD_MAX = 100;

/** Everybody in the room, among those that a message mentions. */
const EVERYBODY = 0;

export interface Unread {
  count: number;
  /** Whether there may be more than `count`. */
  more: boolean;
  /** Those of them that mention the person or everybody. */
  mentions: number;
}

/** What a gateway counted: for this marker, up to this head. */
export interface Counted extends Unread {
  read: Seq;
  head: Seq;
}

export interface UnreadQuery {
  pieces: readonly Piece[];
  head: Seq;
  read: Seq;
  own_id: number;
  counted?: Counted | undefined;
}

const NOTHING: Unread = { count: 0, more: false, mentions: 0 };

/** Only what others write makes a room unread: not that they came, and not one's own words. */
export function isNews(event: RoomEvent, own_id: number): boolean {
  return event.kind === "message" && event.author.id !== own_id;
}

/** `undefined`: neither the log nor what was counted can tell; the gateway has to be asked. */
export function unread({ pieces, head, read, own_id, counted }: UnreadQuery): Unread | undefined {
  if (read >= head) return NOTHING;
  const last = pieces.at(-1)?.to ?? 0;
  const from = loadedFrom(pieces);
  if (from !== undefined && from <= read + 1 && last >= head) {
    return newsIn(pieces, read, own_id);
  }
  if (counted === undefined || counted.read !== read || counted.head > head) return undefined;
  if (counted.head === head) return counted;
  // What came since must be here as a whole, and concern only what came since.
  if (from === undefined || from > counted.head + 1 || last < head) return undefined;
  if (changesBetween(pieces, counted)) return undefined;
  const since = newsIn(pieces, counted.head, own_id);
  const count = Math.min(UNREAD_MAX, counted.count + since.count);
  return {
    count,
    more: counted.more || since.more || count === UNREAD_MAX,
    mentions: Math.min(UNREAD_MAX, counted.mentions + since.mentions),
  };
}

/** The beginning of the loaded run that ends the log. */
function loadedFrom(pieces: readonly Piece[]): Seq | undefined {
  const end = pieces.at(-1);
  return end?.kind === "loaded" ? end.from : undefined;
}

/** Whether something happened since the count to messages that the count is of. */
function changesBetween(pieces: readonly Piece[], counted: Counted): boolean {
  for (const [of, events] of changesOf(pieces)) {
    if (of <= counted.read || of > counted.head) continue;
    const matters = (event: RoomEvent) =>
      event.seq > counted.head && (event.kind === "deleted" || event.kind === "edited");
    if (events.some(matters)) return true;
  }
  return false;
}

/** The messages after `read` that are news, by what they are now. */
function newsIn(pieces: readonly Piece[], read: Seq, own_id: number): Unread {
  const changes = changesOf(pieces);
  let count = 0;
  let mentions = 0;
  for (const piece of pieces) {
    if (piece.kind === "gap" || piece.to <= read) continue;
    for (const event of piece.events) {
      if (event.seq <= read || event.kind !== "message" || !isNews(event, own_id)) continue;
      const now = messageNow(event, changes);
      if (now.deleted) continue;
      count += 1;
      if (now.mentions.some((user) => user === own_id || user === EVERYBODY)) mentions += 1;
    }
  }
  return {
    count: Math.min(count, UNREAD_MAX),
    more: count >= UNREAD_MAX,
    mentions: Math.min(mentions, UNREAD_MAX),
  };
}
