// Which room is open, in the address: a reload keeps it, and "back" leads to the list on a phone.

import { signal } from "@preact/signals";

import type { RoomId, Seq } from "../sync/event.ts";

interface Place {
  room?: RoomId;
  seq?: Seq;
}

export const openRoom = signal<RoomId | undefined>(parse(location.hash).room);

/** The message of that room that the address names: jumped to, once. A new object each time. */
export const openMessage = signal<{ room: RoomId; seq: Seq } | undefined>(
  messageOf(parse(location.hash)),
);

export function showRoom(room: RoomId | undefined, how: "push" | "replace" = "push"): void {
  const address = room === undefined ? "#/" : `#/rooms/${room}`;
  if (how === "push" && location.hash !== address) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  openRoom.value = room;
}

/** Opens a room at one of its messages. */
export function showMessage(room: RoomId, seq: Seq): void {
  const address = addressOf(room, seq);
  if (location.hash !== address) history.pushState(null, "", address);
  openRoom.value = room;
  openMessage.value = { room, seq };
}

/** A link to a message, for whoever is in its room. */
export function permalink(room: RoomId, seq: Seq): string {
  return new URL(addressOf(room, seq), location.href).href;
}

/** The secret of the invitation that led here. Not kept in the address: it may be shown to others. */
export const invitation = signal<string | undefined>(takeInvitation());

/** The link of an invitation. What stands behind `#` is never sent to a server. */
export function invitationAddress(secret: string): string {
  return `${location.origin}${location.pathname}#/invitation/${secret}`;
}

addEventListener("popstate", () => {
  openRoom.value = parse(location.hash).room;
  openMessage.value = messageOf(parse(location.hash));
});

// A link that is opened in a tab that has the page already.
addEventListener("hashchange", () => {
  invitation.value = takeInvitation() ?? invitation.value;
});

function takeInvitation(): string | undefined {
  const found = /^#\/invitation\/([\w-]{32,128})$/.exec(location.hash)?.[1];
  if (found !== undefined) history.replaceState(null, "", "#/");
  return found;
}

function addressOf(room: RoomId, seq: Seq): string {
  return `#/rooms/${room}/${seq}`;
}

function messageOf({ room, seq }: Place): { room: RoomId; seq: Seq } | undefined {
  return room === undefined || seq === undefined ? undefined : { room, seq };
}

function parse(hash: string): Place {
  const [, room, seq] = /^#\/rooms\/(\d+)(?:\/(\d+))?$/.exec(hash) ?? [];
  return {
    ...(room !== undefined && { room: Number(room) }),
    ...(seq !== undefined && { seq: Number(seq) }),
  };
}
