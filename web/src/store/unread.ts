// What is unread (sync/unread.ts), and how it is written on a badge.

import type { NotificationLevel } from "../generated/frames.ts";
import type { RoomEvent, Seq } from "../sync/event.ts";
import { isNews, type Unread, UNREAD_MAX } from "../sync/unread.ts";

export { isNews } from "../sync/unread.ts";

/** "99+" from a hundred on; "" for nothing. */
export function badge(count: number, more = false): string {
  if (count >= UNREAD_MAX) return `${UNREAD_MAX - 1}+`;
  if (more) return count === 0 ? "" : `${count}+`;
  return count === 0 ? "" : String(count);
}

/** What of it the person wants to be told of. */
export function notified(unread: Unread, level: NotificationLevel): Unread {
  if (level === "nothing") return { count: 0, more: false, mentions: 0 };
  return level === "all" ? { ...unread, mentions: unread.count } : unread;
}

export function isUnread({ count, more }: Unread): boolean {
  return count > 0 || more;
}

export function newsAfter(events: readonly RoomEvent[], seq: Seq, own_id: number): number {
  return events.filter((event) => event.seq > seq && isNews(event, own_id)).length;
}
