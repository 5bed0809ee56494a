// Unread is derived from the log and the read position each time it is asked for; nothing counts
// along, so nothing can drift (C5).

import type { RoomEvent, Seq } from "../sync/event.ts";
import type { Piece } from "../sync/room-log.ts";

export interface UnreadQuery {
  pieces: readonly Piece[];
  head: Seq;
  read: Seq;
  own_id: number;
}

/** Only what others write makes a room unread: not that they came, and not one's own words. */
export function isNews(event: RoomEvent, own_id: number): boolean {
  return event.kind === "message" && event.author.id !== own_id;
}

export function isUnread({ pieces, head, read, own_id }: UnreadQuery): boolean {
  const last = pieces.at(-1)?.to ?? 0;
  // What is not loaded may be anything: better bold once too often than never.
  if (head > Math.max(last, read)) return true;
  return pieces.some((piece) =>
    piece.kind === "gap"
      ? piece.to > read
      : piece.to > read && newsAfter(piece.events, read, own_id) > 0,
  );
}

export function newsAfter(events: readonly RoomEvent[], seq: Seq, own_id: number): number {
  return events.filter((event) => event.seq > seq && isNews(event, own_id)).length;
}
