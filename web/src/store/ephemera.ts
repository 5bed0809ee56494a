// Who is writing and who is there, as signals that a view can draw. Loaded after the first
// connection: the page is of use without it.

import { signal, type Signal } from "@preact/signals";

import { browserClock } from "../clock/clock.ts";
import type { Person, Presence, UserId } from "../generated/frames.ts";
import type { RoomId } from "../sync/event.ts";
import { Ephemera } from "../sync/ephemera.ts";
import type { Workspace } from "./workspace.ts";

/** What tells that somebody is at this device. */
const TOUCHES = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"];

export class LiveEphemera extends Ephemera {
  private readonly drawn: Signal<number>;

  constructor(workspace: Workspace, until: AbortSignal) {
    const drawn = signal(0);
    const draw = () => {
      drawn.value += 1;
    };
    super({
      clock: browserClock,
      say: (frame) => workspace.engine.whisper(frame),
      writing: draw,
      presence: draw,
    });
    this.drawn = drawn;
    const options = { signal: until, passive: true };
    for (const touch of TOUCHES) addEventListener(touch, () => this.touched(), options);
    const looked = () => {
      if (document.visibilityState === "visible") this.touched();
    };
    document.addEventListener("visibilitychange", looked, options);
    until.addEventListener("abort", () => this.close());
    this.connected();
  }

  /** Reading this in a view draws the view again when it changes. */
  override writersIn(room: RoomId): readonly Person[] {
    void this.drawn.value;
    return super.writersIn(room);
  }

  override presenceOf(user: UserId): Presence | undefined {
    void this.drawn.value;
    return super.presenceOf(user);
  }
}
