// Names for parts of the generated protocol types.

import type { Event } from "../generated/frames.ts";

export type RoomEvent = Event;
export type MessageEvent = Extract<Event, { kind: "message" }>;
export type RoomId = number;
export type Seq = number;
export type Cid = string;
