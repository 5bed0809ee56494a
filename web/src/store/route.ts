// Which room is open, in the address: a reload keeps it, and "back" leads to the list on a phone.

import { signal } from "@preact/signals";

import type { RoomId } from "../sync/event.ts";

export const openRoom = signal<RoomId | undefined>(parse(location.hash));

export function showRoom(room: RoomId | undefined, how: "push" | "replace" = "push"): void {
  const address = room === undefined ? "#/" : `#/rooms/${room}`;
  if (how === "push" && location.hash !== address) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  openRoom.value = room;
}

addEventListener("popstate", () => {
  openRoom.value = parse(location.hash);
});

function parse(hash: string): RoomId | undefined {
  const found = /^#\/rooms\/(\d+)$/.exec(hash);
  return found?.[1] === undefined ? undefined : Number(found[1]);
}
