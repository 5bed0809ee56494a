// Names for parts of the generated protocol types.

import type { Event } from "../generated/frames.ts";

export type { Cid, RoomId, Seq } from "../generated/frames.ts";

/** `Event` is what the DOM calls its own. */
export type RoomEvent = Event;
export type MessageEvent = Extract<Event, { kind: "message" }>;
