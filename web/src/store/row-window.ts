// Which part of a room's sequence is in the document: at most 300 rows, moved by scrolling and
// trimmed at the far end. No virtual list, which would break find-in-page and screen readers.
//
// Pure. Tests: test/row-window.test.ts

import type { RoomEvent, Seq } from "../sync/event.ts";
import { isHidden } from "../sync/message-now.ts";
import type { Piece } from "../sync/room-log.ts";

export const ROWS_MAX = 300;
/** Rows of a room that was just opened, or that follows its end. */
export const ROWS_FIRST = 100;
/** Rows that one arrival at an edge adds. */
export const ROWS_STEP = 60;

/** One row: an event, or a whole gap. */
export type Item = { kind: "event"; event: RoomEvent } | { kind: "gap"; from: Seq; to: Seq };

/** `to` is left out while the window follows the end of the sequence. */
export interface RowWindow {
  from: Seq;
  to?: Seq;
}

export type Direction = "up" | "down";

export function items(pieces: readonly Piece[]): Item[] {
  return pieces.flatMap((piece): Item[] =>
    piece.kind === "gap"
      ? [piece]
      : piece.events.flatMap((event) => (isHidden(event) ? [] : [{ kind: "event", event }])),
  );
}

export function within(all: readonly Item[], window: RowWindow): Item[] {
  return all.filter(
    (item) => lastSeq(item) >= window.from && firstSeq(item) <= (window.to ?? Infinity),
  );
}

/** The end of the room, as it looks when it is opened. */
export function atEnd(all: readonly Item[]): RowWindow {
  return { from: fromIndex(all, all.length - ROWS_FIRST) };
}

/** What surrounds an event that is loaded. */
export function around(all: readonly Item[], seq: Seq): RowWindow {
  const at = all.findIndex((item) => lastSeq(item) >= seq);
  return slice(all, Math.max(0, at - ROWS_STEP), Math.min(all.length - 1, at + ROWS_STEP));
}

/** The person came near the edge: more rows there, fewer at the other. */
export function extended(all: readonly Item[], window: RowWindow, direction: Direction): RowWindow {
  const [first, last] = bounds(all, window);
  if (direction === "up") {
    const top = Math.max(0, first - ROWS_STEP);
    return slice(all, top, Math.min(last, top + ROWS_MAX - 1));
  }
  const bottom = Math.min(all.length - 1, last + ROWS_STEP);
  return slice(all, Math.max(first, bottom - ROWS_MAX + 1), bottom);
}

/**
 * What arrived meanwhile (new messages, a filled gap) may have made the window too large.
 * `following`: the person sees the end. Otherwise the rows far from where they came are dropped.
 */
export function bounded(
  all: readonly Item[],
  window: RowWindow,
  following: boolean,
  came: Direction,
): RowWindow {
  const count = within(all, window).length;
  if (following && window.to === undefined) return count > ROWS_FIRST * 1.5 ? atEnd(all) : window;
  if (count <= ROWS_MAX) return window;
  const [first, last] = bounds(all, window);
  return came === "up"
    ? slice(all, first, first + ROWS_MAX - 1)
    : slice(all, last - ROWS_MAX + 1, last);
}

export function hasEarlier(all: readonly Item[], window: RowWindow): boolean {
  const first = all[0];
  return first !== undefined && lastSeq(first) < window.from;
}

export function firstSeq(item: Item): Seq {
  return item.kind === "gap" ? item.from : item.event.seq;
}

export function lastSeq(item: Item): Seq {
  return item.kind === "gap" ? item.to : item.event.seq;
}

function bounds(all: readonly Item[], window: RowWindow): [number, number] {
  const first = all.findIndex((item) => lastSeq(item) >= window.from);
  const last = all.findLastIndex((item) => firstSeq(item) <= (window.to ?? Infinity));
  return [Math.max(0, first), last];
}

function slice(all: readonly Item[], first: number, last: number): RowWindow {
  const from = fromIndex(all, first);
  const end = all[last];
  return last >= all.length - 1 || end === undefined ? { from } : { from, to: lastSeq(end) };
}

function fromIndex(all: readonly Item[], index: number): Seq {
  const item = all[Math.max(0, index)];
  return item === undefined ? 1 : firstSeq(item);
}
