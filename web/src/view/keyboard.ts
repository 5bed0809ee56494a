// The keys that work everywhere on the page.

import { useEffect } from "preact/hooks";

import { openRoom, showRoom } from "../store/route.ts";
import type { Workspace } from "../store/workspace.ts";
import { CLUSTER_PANEL_ID } from "./cluster-chip.tsx";
import type { DialogName } from "./shell.tsx";

const REGIONS = ["rooms", "history", "composer", "panel"];

export function useKeyboard(workspace: Workspace, ask: (dialog: DialogName) => void): void {
  useEffect(() => {
    const listener = (event: KeyboardEvent) => {
      // A dialog is a conversation of its own.
      if (event.defaultPrevented || document.querySelector("dialog[open]") !== null) return;
      if (act(event, workspace, ask)) event.preventDefault();
    };
    addEventListener("keydown", listener);
    return () => removeEventListener("keydown", listener);
  }, [workspace]);
}

function act(
  event: KeyboardEvent,
  workspace: Workspace,
  ask: (dialog: DialogName) => void,
): boolean {
  const { key, altKey, ctrlKey, metaKey, shiftKey } = event;
  const is_command = (ctrlKey || metaKey) && !altKey;
  if (is_command && !shiftKey && key.toLowerCase() === "k") {
    ask("palette");
    return true;
  }
  // On many keyboards `/` is a shifted key.
  if (is_command && key === "/") {
    ask("help");
    return true;
  }
  if (altKey && !ctrlKey && !metaKey && (key === "ArrowUp" || key === "ArrowDown")) {
    stepRoom(workspace, key === "ArrowDown" ? 1 : -1, shiftKey);
    return true;
  }
  if (is_command && key === ".") {
    document.getElementById(CLUSTER_PANEL_ID)?.togglePopover();
    return true;
  }
  if (key === "F6") {
    stepRegion(shiftKey ? -1 : 1);
    return true;
  }
  return false;
}

function stepRoom(workspace: Workspace, step: 1 | -1, unread_only: boolean): void {
  const rooms = workspace.rooms.value;
  const start = rooms.findIndex((room) => room.id === openRoom.value);
  for (let n = 1; n <= rooms.length; n += 1) {
    const room = rooms[(start + step * n + rooms.length * (n + 1)) % rooms.length];
    if (room === undefined || (unread_only && !workspace.isUnread(room))) continue;
    showRoom(room.id);
    return;
  }
}

function stepRegion(step: 1 | -1): void {
  const here = document.activeElement?.closest("[data-region]")?.getAttribute("data-region") ?? "";
  const start = REGIONS.indexOf(here);
  for (let n = 1; n <= REGIONS.length; n += 1) {
    const name = REGIONS[(start + step * n + REGIONS.length * 2) % REGIONS.length];
    const region = document.querySelector<HTMLElement>(`[data-region="${name}"]`);
    // The room that is open, the message that has the focus, the text field; else the region.
    const target =
      region?.querySelector<HTMLElement>(':is([aria-current], article[tabindex="0"], textarea, .panel-list)') ??
      region ??
      null;
    if (target === null || target.offsetParent === null) continue;
    target.focus();
    return;
  }
}
