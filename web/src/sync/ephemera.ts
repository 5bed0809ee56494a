// What may be lost: who is writing in which room, and who is there.
//
// In: `typing` and `presence` frames, what the person does. Out: the same as frames, never more
// often than is useful, and a call when something to draw changed. No DOM, no clock of its own.
// Tests: test/ephemera.test.ts

import type { Cancel, Clock } from "../clock/clock.ts";
import type { ClientFrame, Person, Presence, ServerFrame, UserId } from "../generated/frames.ts";
import type { RoomId } from "./event.ts";

/** A little less than it holds, so that the line of who writes on does not flicker. */
export const TYPING_EVERY_MS = 3_000;
/** From the last word that came, as in docs/protocol.md 2.9. */
export const TYPING_FOR_MS = 5_000;
/** A device that nobody touched for so long is one that its person left. */
export const AWAY_AFTER_MS = 5 * 60_000;
/** Lists come and go together: they are told together. */
export const WATCH_AFTER_MS = 200;
/** As the gateway allows. */
export const WATCHED_MAX = 500;

export type EphemeralFrame = Extract<ServerFrame, { t: "typing" | "presence" }>;
export type Whisper = Extract<ClientFrame, { t: "typing" | "away" | "watch" }>;

interface Writer {
  person: Person;
  cancel: Cancel;
}

export interface EphemeraOptions {
  clock: Clock;
  /** Says it if there is a connection; nothing waits for one. */
  say(frame: Whisper): void;
  /** Somebody began or ceased to write there. */
  writing(room: RoomId): void;
  presence(): void;
}

export class Ephemera {
  private readonly options: EphemeraOptions;
  private readonly writers = new Map<RoomId, Map<UserId, Writer>>();
  private readonly told_ms = new Map<RoomId, number>();
  private readonly states = new Map<UserId, Presence>();
  /** How many parts of the page show a person. */
  private readonly shown = new Map<UserId, number>();
  private cancelWatch: Cancel | undefined;
  private cancelAway: Cancel | undefined;
  private is_away = false;
  private touched_ms: number;

  constructor(options: EphemeraOptions) {
    this.options = options;
    this.touched_ms = options.clock.now();
    this.awaitAway();
  }

  /** A new connection knows nothing of this page. */
  connected(): void {
    this.told_ms.clear();
    if (this.is_away) this.options.say({ t: "away", away: true });
    if (this.shown.size > 0) this.tellWatched();
  }

  /** What is not told any more is not known any more. */
  disconnected(): void {
    this.states.clear();
    this.options.presence();
  }

  received(frame: EphemeralFrame): void {
    if (frame.t === "typing") {
      this.writes(frame.room, frame.person);
      return;
    }
    for (const { id, presence } of frame.people) this.states.set(id, presence);
    this.options.presence();
  }

  // --- Writing ---

  /** The person wrote a letter here. */
  typed(room: RoomId): void {
    const now_ms = this.options.clock.now();
    if (now_ms - (this.told_ms.get(room) ?? -Infinity) < TYPING_EVERY_MS) return;
    this.told_ms.set(room, now_ms);
    this.options.say({ t: "typing", room });
  }

  /** The person sent what was written: the next letter is news again. */
  sent(room: RoomId): void {
    this.told_ms.delete(room);
  }

  /** A message came: what was being written is there. */
  spoke(room: RoomId, user: UserId): void {
    const writer = this.writers.get(room)?.get(user);
    if (writer === undefined) return;
    writer.cancel();
    this.ceased(room, user);
  }

  /** Whoever writes in the room, the first one first. */
  writersIn(room: RoomId): readonly Person[] {
    return [...(this.writers.get(room)?.values() ?? [])].map((writer) => writer.person);
  }

  private writes(room: RoomId, person: Person): void {
    const writers = this.writers.get(room) ?? new Map<UserId, Writer>();
    this.writers.set(room, writers);
    const before = writers.get(person.id);
    before?.cancel();
    const cancel = this.options.clock.after(TYPING_FOR_MS, () => this.ceased(room, person.id));
    writers.set(person.id, { person, cancel });
    if (before === undefined) this.options.writing(room);
  }

  private ceased(room: RoomId, user: UserId): void {
    const writers = this.writers.get(room);
    writers?.delete(user);
    if (writers?.size === 0) this.writers.delete(room);
    this.options.writing(room);
  }

  // --- Presence ---

  /** `undefined`: nobody has said it yet. */
  presenceOf(user: UserId): Presence | undefined {
    return this.states.get(user);
  }

  /** From now on it is shown how these people are; the answer ends that. */
  show(people: readonly UserId[]): () => void {
    for (const user of people) this.shown.set(user, (this.shown.get(user) ?? 0) + 1);
    this.watchSoon();
    return () => {
      for (const user of people) {
        const left = (this.shown.get(user) ?? 1) - 1;
        if (left > 0) this.shown.set(user, left);
        else this.shown.delete(user);
      }
      this.watchSoon();
    };
  }

  private watchSoon(): void {
    this.cancelWatch ??= this.options.clock.after(WATCH_AFTER_MS, () => this.tellWatched());
  }

  private tellWatched(): void {
    this.cancelWatch?.();
    this.cancelWatch = undefined;
    const people = [...this.shown.keys()].slice(0, WATCHED_MAX);
    for (const user of this.states.keys()) if (!this.shown.has(user)) this.states.delete(user);
    this.options.say({ t: "watch", people });
  }

  // --- The person at this device ---

  /** A key, a finger, a pointer. */
  touched(): void {
    this.touched_ms = this.options.clock.now();
    if (!this.is_away) return;
    this.is_away = false;
    this.options.say({ t: "away", away: false });
    this.awaitAway();
  }

  private awaitAway(): void {
    const { clock, say } = this.options;
    const left_ms = this.touched_ms + AWAY_AFTER_MS - clock.now();
    this.cancelAway = clock.after(left_ms, () => {
      // Measured, not counted: a touch only notes the time.
      if (clock.now() - this.touched_ms < AWAY_AFTER_MS) {
        this.awaitAway();
        return;
      }
      this.is_away = true;
      say({ t: "away", away: true });
    });
  }

  close(): void {
    this.cancelWatch?.();
    this.cancelAway?.();
    for (const writers of this.writers.values())
      for (const writer of writers.values()) writer.cancel();
  }
}
