// Unread messages outside of the page: a dot on its icon, and on the icon of the installed app.

import { useEffect } from "preact/hooks";

import type { Workspace } from "../store/workspace.ts";

interface Badging {
  setAppBadge?(): Promise<void>;
  clearAppBadge?(): Promise<void>;
}

export function useBadge(workspace: Workspace): void {
  const is_unread = workspace.rooms.value.some((room) => workspace.isUnread(room));
  useEffect(() => {
    show(is_unread);
    return () => show(false);
  }, [is_unread]);
}

function show(is_unread: boolean): void {
  const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  if (icon !== null) icon.href = is_unread ? "/favicon-unread.svg" : "/favicon.svg";
  const { setAppBadge, clearAppBadge } = navigator as Badging;
  // Refused where the page is not installed.
  void (is_unread ? setAppBadge : clearAppBadge)?.call(navigator).catch(() => {});
}
