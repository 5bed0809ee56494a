// One room: its history and the composer, unless nobody writes there.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { words } from "../i18n/language.ts";
import type { Workspace } from "../store/workspace.ts";
import type { RoomSync } from "../sync/room-sync.ts";
import { Composer } from "./composer.tsx";
import { History } from "./history.tsx";

export function RoomPane({ workspace, room }: { workspace: Workspace; room: RoomSync }) {
  /** Raised when the history should show its end: after sending, or with Esc. */
  const to_latest = useSignal(0);
  const toLatest = () => {
    to_latest.value += 1;
  };
  useEffect(() => {
    // Esc marks the room as read, wherever the focus is: what is at its end is seen.
    const listener = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented || event.isComposing) return;
      if (document.querySelector("dialog[open], :popover-open") !== null) return;
      workspace.markRead(room);
      toLatest();
    };
    addEventListener("keydown", listener);
    return () => removeEventListener("keydown", listener);
  }, [workspace, room]);
  return (
    <>
      <History workspace={workspace} room={room} to_latest={to_latest} />
      {room.is_system ? (
        <p class="quiet-room">{words.value.timeline.quiet}</p>
      ) : (
        <Composer workspace={workspace} room={room} toLatest={toLatest} />
      )}
    </>
  );
}
