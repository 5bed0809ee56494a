// Unread messages outside of the page: on its icon a dot, or how many of them mention the person;
// the same on the icon of the installed app.

import { useEffect } from "preact/hooks";

import type { Workspace } from "../store/workspace.ts";

interface Badging {
  setAppBadge?(count?: number): Promise<void>;
  clearAppBadge?(): Promise<void>;
}

export function useBadge(workspace: Workspace): void {
  const rooms = workspace.rooms.value;
  const is_unread = rooms.some((room) => workspace.isUnread(room));
  const mentions = rooms.reduce((sum, room) => sum + workspace.unread(room).mentions, 0);
  useEffect(() => {
    show(is_unread, mentions);
    return () => show(false, 0);
  }, [is_unread, mentions]);
}

function show(is_unread: boolean, mentions: number): void {
  const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  if (icon !== null) icon.href = iconOf(is_unread, mentions);
  const { setAppBadge, clearAppBadge } = navigator as Badging;
  // Without a number it is a dot. Refused where the page is not installed.
  const shown =
    is_unread || mentions > 0
      ? setAppBadge?.call(navigator, mentions > 0 ? mentions : undefined)
      : clearAppBadge?.call(navigator);
  void shown?.catch(() => {});
}

/** Ready-made pictures, served by the gateway: drawn ones would need addresses of their own kind. */
export function iconOf(is_unread: boolean, mentions: number): string {
  if (mentions > 9) return "/favicon-9-plus.svg";
  if (mentions > 0) return `/favicon-${mentions}.svg`;
  return is_unread ? "/favicon-unread.svg" : "/favicon.svg";
}
