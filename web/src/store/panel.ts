// What the right panel shows.

import { signal } from "@preact/signals";

import type { RoomId, Seq } from "../sync/event.ts";

export type Panel =
  | { kind: "thread"; room: RoomId; seq: Seq }
  | { kind: "versions"; room: RoomId; seq: Seq }
  | { kind: "pins"; room: RoomId }
  | { kind: "search" };

export const panel = signal<Panel | undefined>(undefined);

/** The message that is being edited in its place. */
export const editing = signal<{ room: RoomId; seq: Seq } | undefined>(undefined);

/** The message for which an emoji is being picked. */
export const picking = signal<{ room: RoomId; seq: Seq } | undefined>(undefined);
