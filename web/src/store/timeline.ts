// From a piece of the sequence to the rows of the page: days, groups, gaps, the "new" line and
// what still waits in the outbox. Pure. Tests: test/timeline.test.ts

import type { OutboxEntry } from "../outbox/outbox.ts";
import type { MessageEvent, RoomEvent, Seq } from "../sync/event.ts";
import { isNews } from "./unread.ts";
import type { Item } from "./row-window.ts";

/** Consecutive messages of one author within this time share one heading. */
const GROUP_MS_MAX = 5 * 60_000;

export type Row =
  | { kind: "day"; key: string; ts: number }
  | { kind: "new"; key: string }
  | { kind: "gap"; key: string; from: Seq; to: Seq }
  | { kind: "notice"; key: string; event: Exclude<RoomEvent, MessageEvent> }
  | { kind: "message"; key: string; event: MessageEvent; grouped: boolean }
  | { kind: "pending"; key: string; entry: OutboxEntry; grouped: boolean };

export interface TimelineQuery {
  items: readonly Item[];
  /** Own messages that are not in the sequence yet; empty unless its end is shown. */
  pending: readonly OutboxEntry[];
  own_id: number;
  /** The read position when the room was opened: what is newer stands below the "new" line. */
  read: Seq | undefined;
  /** The day of a moment, in the time zone of the person. */
  dayOf(ts: number): string;
}

interface Heading {
  author: number;
  ts: number;
}

export function timeline({ items, pending, own_id, read, dayOf }: TimelineQuery): Row[] {
  const rows: Row[] = [];
  let day: string | undefined;
  let heading: Heading | undefined;
  let new_line_drawn = read === undefined;

  const startDay = (ts: number) => {
    const next = dayOf(ts);
    if (next === day) return;
    day = next;
    heading = undefined;
    rows.push({ kind: "day", key: `day-${next}-${rows.length}`, ts });
  };

  const isGrouped = (author: number, ts: number): boolean => {
    const grouped =
      heading !== undefined && heading.author === author && ts - heading.ts < GROUP_MS_MAX;
    heading = { author, ts };
    return grouped;
  };

  for (const item of items) {
    if (item.kind === "gap") {
      // Keyed by its end: a gap that shrinks from there is a new one, one that grows is not.
      rows.push({ ...item, key: `gap-${item.to}` });
      heading = undefined;
      day = undefined;
      continue;
    }
    const { event } = item;
    startDay(event.ts);
    if (!new_line_drawn && event.seq > (read ?? 0) && isNews(event, own_id)) {
      new_line_drawn = true;
      heading = undefined;
      rows.push({ kind: "new", key: "new" });
    }
    if (event.kind === "message") {
      const grouped = isGrouped(event.author.id, event.ts);
      rows.push({ kind: "message", key: messageKey(event.author.id, event.cid), event, grouped });
    } else {
      heading = undefined;
      rows.push({ kind: "notice", key: `notice-${event.seq}`, event });
    }
  }

  for (const entry of pending) {
    startDay(entry.stored.written_ms);
    const grouped = isGrouped(own_id, entry.stored.written_ms);
    rows.push({ kind: "pending", key: messageKey(own_id, entry.stored.cid), entry, grouped });
  }
  return rows;
}

/** The same before and after the echo, so that the row stays the same element. */
function messageKey(author: number, cid: string): string {
  return `message-${author}-${cid}`;
}
