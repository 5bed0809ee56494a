// The history of a room: a window of rows over its one sequence, moved by scrolling.

import { type Signal, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import { words } from "../i18n/language.ts";
import { editing, panel, picking } from "../store/panel.ts";
import { openMessage } from "../store/route.ts";
import { type Row, timeline } from "../store/timeline.ts";
import {
  around,
  atEnd,
  bounded,
  type Direction,
  extended,
  hasEarlier,
  items,
  type RowWindow,
  within,
} from "../store/row-window.ts";
import { newsAfter } from "../store/unread.ts";
import type { Workspace } from "../store/workspace.ts";
import { xrayed } from "../store/xray.ts";
import type { RoomEvent } from "../sync/event.ts";
import { type Changes, changesOf, messageNow } from "../sync/message-now.ts";
import type { RoomSync } from "../sync/room-sync.ts";
import { announce } from "./announcer.tsx";
import { dayName, dayOf } from "./dates.ts";
import { GapRow } from "./gap-row.tsx";
import { DownIcon } from "./icons.tsx";
import { threadOf } from "./message-actions.tsx";
import { NoticeRow, pendingMessage, storedMessage } from "./message-row.tsx";
import { isNearEnd, isNearStart, useScroll } from "./scroll.ts";

/** Own messages show their state so far from the end; further up it is always the same. */
const STATE_ROWS = 6;

interface HistoryProps {
  workspace: Workspace;
  room: RoomSync;
  to_latest: Signal<number>;
}

export function History({ workspace, room, to_latest }: HistoryProps) {
  workspace.revision(room.id);
  const scroller = useRef<HTMLDivElement>(null);
  const is_following = useRef(true);
  const drawn_following = useRef(true);
  drawn_following.current = is_following.current;
  const came = useRef<Direction>("up");
  const view = useRef<RowWindow | undefined>(undefined);
  const redraw = useSignal(0);
  redraw.value;
  /** The read position when the person came, or looked away: newer stands below the "new" line. */
  const read = useRef(workspace.isUnread(room) ? workspace.readSeq(room) : undefined);
  const focused = useSignal<string | undefined>(undefined);
  const active = useSignal<string | undefined>(undefined);
  /** The message that was jumped to, and whether it still has to come into sight. */
  const target = useSignal<number | undefined>(undefined);
  const is_jumping = useRef(false);
  const changes = changesOf(room.log.pieces);

  const all = items(room.log.pieces);
  // Before the first rows are here a window would be one of nothing.
  if (all.length === 0) view.current = undefined;
  else view.current = bounded(all, view.current ?? atEnd(all), is_following.current, came.current);
  const at_end = view.current?.to === undefined;
  const rows = timeline({
    items: view.current === undefined ? [] : within(all, view.current),
    pending: at_end ? workspace.outbox.value.filter((entry) => entry.stored.room === room.id) : [],
    own_id: workspace.user.id,
    read: read.current,
    dayOf,
  });

  const moved = () => {
    const element = scroller.current;
    const shown = view.current;
    if (element === null || shown === undefined) return;
    const now = items(room.log.pieces);
    let next = shown;
    if (isNearStart(element) && hasEarlier(now, shown)) {
      came.current = "up";
      next = extended(now, shown, "up");
    } else if (isNearEnd(element) && shown.to !== undefined) {
      came.current = "down";
      next = extended(now, shown, "down");
    }
    room.reading_back = !is_following.current || next.to !== undefined;
    view.current = next;
    // The rows are drawn again only when they differ; a scroll by itself draws nothing.
    if (next !== shown || is_following.current !== drawn_following.current) redraw.value += 1;
  };
  const keepHere = useScroll({ scroller, is_following, moved });
  useLayoutEffect(() => {
    if (!is_jumping.current) return;
    const row = scroller.current?.querySelector<HTMLElement>(`[data-seq="${target.value}"]`);
    if (row === null || row === undefined) return;
    is_jumping.current = false;
    row.scrollIntoView({ block: "center" });
    row.focus({ preventScroll: true });
    keepHere();
    if (is_following.current) redraw.value += 1;
  });
  useEffect(() => {
    const wanted = openMessage.value;
    if (wanted?.room !== room.id || room.head === 0) return;
    openMessage.value = undefined;
    void jump(wanted.seq);
  }, [openMessage.value, room.head > 0]);
  const jump = async (seq: number) => {
    room.reading_back = true;
    const is_there = await room.loadAround(seq).catch(() => false);
    const now = items(room.log.pieces);
    if (!is_there) {
      announce(words.value.panel.notThere);
      return;
    }
    is_following.current = false;
    is_jumping.current = true;
    view.current = around(now, seq);
    target.value = seq;
    redraw.value += 1;
  };

  const toLatest = () => {
    is_following.current = true;
    view.current = undefined;
    room.reading_back = false;
    redraw.value += 1;
  };
  useEffect(() => {
    if (to_latest.value === 0) return;
    // Whoever answers has read.
    read.current = undefined;
    toLatest();
  }, [to_latest.value]);
  useEffect(
    () => () => {
      room.reading_back = false;
    },
    [],
  );
  useMarkRead({
    workspace,
    room,
    isAtEnd: () => is_following.current && view.current?.to === undefined,
    lookedAway: () => {
      read.current = workspace.readSeq(room);
    },
  });

  const is_away = !at_end || !is_following.current;
  const messages = rows.filter((row) => row.kind === "message" || row.kind === "pending");
  const with_state = new Set(messages.slice(-STATE_ROWS).map((row) => row.key));
  const tab_stop = messages.some((row) => row.key === focused.value)
    ? focused.value
    : messages.at(-1)?.key;

  return (
    <div class="history-frame">
      <div
        ref={scroller}
        class="history"
        role="log"
        aria-live="off"
        aria-label={words.value.timeline.log(workspace.nameOf(room))}
        data-region="history"
        tabIndex={messages.length === 0 ? 0 : -1}
        data-testid="history"
        onKeyDown={(event) => {
          // The keyboard is here, wherever the pointer rests.
          active.value = focused.value;
          if (
            lookBehind(event, room) ||
            actOnMessage(event, workspace, room) ||
            stepMessage(event)
          ) {
            event.preventDefault();
          }
        }}
        onFocusIn={(event) => {
          const key = (event.target as HTMLElement).closest("[data-key]")?.getAttribute("data-key");
          if (key === null || key === undefined) return;
          focused.value = key;
          active.value = key;
        }}
        onPointerOver={(event) => {
          const key = (event.target as HTMLElement).closest("[data-key]")?.getAttribute("data-key");
          if (key !== null && key !== undefined) active.value = key;
        }}
        onPointerLeave={() => {
          active.value = undefined;
        }}
      >
        <div class="history-rows">
          {room.is_system && room.head === 0 && (
            <p class="beginning">{words.value.timeline.nothing}</p>
          )}
          {all[0] !== undefined &&
            view.current !== undefined &&
            !hasEarlier(all, view.current) &&
            all[0].kind === "event" && (
              <p class="beginning">{words.value.timeline.beginning(workspace.titleOf(room))}</p>
            )}
          {rows.map((row) => (
            <RowView
              key={row.key}
              row={row}
              workspace={workspace}
              room={room}
              scroller={scroller}
              has_state={with_state.has(row.key)}
              is_tab_stop={row.key === tab_stop}
              is_active={row.key === active.value}
              target={target.value}
              changes={changes}
            />
          ))}
        </div>
      </div>
      {is_away && (
        <button type="button" class="jump-latest" data-testid="jump-latest" onClick={toLatest}>
          <DownIcon />
          {jumpLabel(workspace, room)}
        </button>
      )}
    </div>
  );
}

interface RowViewProps {
  row: Row;
  workspace: Workspace;
  room: RoomSync;
  scroller: RefObject<HTMLDivElement | null>;
  has_state: boolean;
  is_tab_stop: boolean;
  is_active: boolean;
  target: number | undefined;
  changes: Changes;
}

function RowView({
  row,
  workspace,
  room,
  scroller,
  has_state,
  is_tab_stop,
  is_active,
  target,
  changes,
}: RowViewProps) {
  switch (row.kind) {
    case "day":
      return (
        <div class="day">
          <span>{dayName(row.ts)}</span>
        </div>
      );
    case "new":
      return (
        <div class="new-line">
          <span>{words.value.timeline.new}</span>
        </div>
      );
    case "gap":
      return <GapRow room={room} from={row.from} to={row.to} scroller={scroller} />;
    case "notice":
      return <NoticeRow event={row.event} />;
    case "message": {
      const is_own = row.event.author.id === workspace.user.id;
      return storedMessage({
        workspace,
        room,
        row_key: row.key,
        event: row.event,
        now: messageNow(row.event, changes),
        is_active,
        is_target: row.event.seq === target,
        is_own,
        grouped: row.grouped,
        has_state: is_own && has_state,
        is_tab_stop,
      });
    }
    case "pending":
      return pendingMessage({
        row_key: row.key,
        entry: row.entry,
        user: workspace.user,
        grouped: row.grouped,
        outbox: workspace.engine.outbox,
        is_tab_stop,
      });
  }
}

function jumpLabel(workspace: Workspace, room: RoomSync): string {
  const read = workspace.readSeq(room);
  const loaded: readonly RoomEvent[] = room.log.pieces.flatMap((piece) =>
    piece.kind === "loaded" ? piece.events : [],
  );
  const count = newsAfter(loaded, read, workspace.user.id);
  return count === 0 ? words.value.timeline.latest : words.value.timeline.latestUnread(count);
}

interface MarkReadOptions {
  workspace: Workspace;
  room: RoomSync;
  isAtEnd(): boolean;
  lookedAway(): void;
}

/** What is on a visible screen, at the end of the room, is read. */
function useMarkRead({ workspace, room, isAtEnd, lookedAway }: MarkReadOptions): void {
  const mark = () => {
    if (document.visibilityState === "visible" && document.hasFocus() && isAtEnd())
      workspace.markRead(room);
  };
  useEffect(mark);
  useEffect(() => {
    const until = new AbortController();
    document.addEventListener("visibilitychange", mark, { signal: until.signal });
    addEventListener("focus", mark, { signal: until.signal });
    addEventListener("blur", lookedAway, { signal: until.signal });
    return () => until.abort();
  }, []);
}

/** R answers, E edits, + reacts: on the message that has the focus. */
function actOnMessage(event: KeyboardEvent, workspace: Workspace, room: RoomSync): boolean {
  const row = event.target as HTMLElement;
  if (row.tagName !== "ARTICLE" || event.ctrlKey || event.metaKey || event.altKey) return false;
  const message = room.log.find(Number(row.dataset["seq"]));
  if (message?.kind !== "message" || row.dataset["deleted"] === "true") return false;
  switch (event.key) {
    case "r":
    case "R":
      panel.value = { kind: "thread", room: room.id, seq: threadOf(message) };
      return true;
    case "e":
    case "E":
      if (message.author.id !== workspace.user.id) return false;
      editing.value = { room: room.id, seq: message.seq };
      return true;
    case "+":
      picking.value = { room: room.id, seq: message.seq };
      return true;
    default:
      return false;
  }
}

/** X looks behind the message that has the focus. */
function lookBehind(event: KeyboardEvent, room: RoomSync): boolean {
  const row = event.target as HTMLElement;
  if (event.key.toLowerCase() !== "x" || event.ctrlKey || event.metaKey || event.altKey)
    return false;
  if (row.tagName !== "ARTICLE") return false;
  const seq = Number(row.dataset["seq"]);
  const found = room.log.pieces
    .flatMap((piece) => (piece.kind === "loaded" ? piece.events : []))
    .find((one) => one.seq === seq);
  if (found?.kind !== "message") return false;
  xrayed.value = found;
  return true;
}

/** Roving focus: one message is a tab stop, the arrows move it. */
function stepMessage(event: KeyboardEvent): boolean {
  if (event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return false;
  const here = (event.target as HTMLElement).closest("article");
  if (here === null) return false;
  const messages = [...(here.parentElement?.querySelectorAll<HTMLElement>("article") ?? [])];
  const next = messages[messages.indexOf(here) + (event.key === "ArrowDown" ? 1 : -1)];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
  return next !== undefined;
}
