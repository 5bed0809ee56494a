// Pages of a room's sequence, as the sync core asks for them. Over HTTP in the browser.

import type { ErrorCode, EventsAnswer } from "../generated/frames.ts";
import type { RoomId, Seq } from "./event.ts";

export type PageOf = { after: Seq } | { before: Seq };

export type Page = EventsAnswer;

export interface History {
  /** Ascending, by a replica that has applied `min_slot`; rejects with `RequestFailed`. */
  page(room: RoomId, of: PageOf, limit: number, min_slot: number): Promise<Page>;
}

export class RequestFailed extends Error {
  readonly code: ErrorCode;
  readonly temporary: boolean;

  constructor(code: ErrorCode, message: string, temporary: boolean) {
    super(message);
    this.name = "RequestFailed";
    this.code = code;
    this.temporary = temporary;
  }
}
