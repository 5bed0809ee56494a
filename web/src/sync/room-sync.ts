// Keeps one room's log contiguous while the stream drops, doubles, reorders or lags.
//
// In: events, gaps and heads from the socket. Out: a log that only ever grows at its end or fills
// its gaps, and page requests for what is missing. Invariants: C3, C6. Tests: test/sync.test.ts

import type { Clock, Random } from "../clock/clock.ts";
import type { Joined, NotificationLevel, RoomKind, UserId } from "../generated/frames.ts";
import { backoffMs } from "../socket/backoff.ts";
import type { RoomEvent, RoomId, Seq } from "./event.ts";
import type { Page, PageOf } from "./history.ts";
import {
  HELD_EVENTS_MAX,
  JUMP_EVENTS_AROUND,
  PAGE_EVENTS_MAX,
  REPLAY_EVENTS_AFTER_GAP,
  REPLAY_EVENTS_MAX,
  ROOM_EVENTS_KEPT,
  ROOM_EVENTS_MAX,
  SCROLL_PAGE_EVENTS,
} from "./limits.ts";
import { isRun, RoomLog } from "./room-log.ts";

export interface RoomSyncOptions {
  clock: Clock;
  random: Random;
  page(of: PageOf, limit: number): Promise<Page>;
  /** Called for each event that entered the log, in order within a run. */
  applied(room: RoomSync, event: RoomEvent): void;
  /** The log, the head or what is being loaded is different now. */
  changed(room: RoomSync): void;
  /** A range that was missing is here; a `resume` may be due. */
  repaired(room: RoomSync): void;
}

export class RoomSync {
  readonly id: RoomId;
  name: string;
  members: number;
  /** The room of the cluster: nobody writes into it or leaves it, and nothing in it is unread. */
  readonly is_system: boolean;
  readonly kind: RoomKind;
  /** Of a direct room: who is in it. */
  readonly people: readonly UserId[];
  topic: string;
  /** It can only be read. */
  archived: boolean;
  /** Which of its messages are news to the person. */
  level: NotificationLevel = "mentions";
  /** It stands above the others. */
  favourite = false;
  /** The newest sequence number that anybody told us of. */
  head: Seq;
  readonly log = new RoomLog();
  /** The gaps that are being loaded, by the side from which they shrink. */
  readonly filling = new Set<string>();
  /** Somebody reads far from the end: what they scrolled to must stay. */
  reading_back = false;

  private readonly options: RoomSyncOptions;
  /** Members, name, topic and `archived` are as of this event. */
  private members_seq: Seq;
  private readonly held = new Map<Seq, RoomEvent>();
  /** Everything up to here must be in the log before anything newer is shown. */
  private target: Seq = 0;
  private repairing = false;
  /** Raised when a replay makes a running repair pointless. */
  private generation = 0;

  constructor(joined: Joined, options: RoomSyncOptions) {
    this.id = joined.id;
    this.name = joined.name;
    this.members = joined.members;
    this.is_system = joined.system ?? false;
    this.kind = joined.kind;
    this.people = joined.people ?? [];
    this.topic = joined.topic ?? "";
    this.archived = joined.archived ?? false;
    this.members_seq = joined.head;
    this.head = joined.head;
    this.options = options;
    this.takeWishes(joined);
  }

  describe(joined: Joined): void {
    this.name = joined.name;
    this.topic = joined.topic ?? "";
    this.archived = joined.archived ?? false;
    this.members = joined.members;
    this.members_seq = joined.head;
    this.head = Math.max(this.head, joined.head);
    this.takeWishes(joined);
    this.options.changed(this);
  }

  /** The person wishes something else of it, here or on another device. */
  wished(wishes: { level: NotificationLevel; favourite: boolean }): void {
    this.takeWishes(wishes);
    this.options.changed(this);
  }

  private takeWishes({ level, favourite }: Pick<Joined, "level" | "favourite">): void {
    this.level = level ?? "mentions";
    this.favourite = favourite ?? false;
  }

  event(event: RoomEvent): void {
    this.head = Math.max(this.head, event.seq);
    switch (this.log.offer(event)) {
      case "known":
        return;
      case "applied":
        this.entered(event);
        this.drainHeld();
        this.trim();
        this.options.changed(this);
        return;
      case "ahead":
        if (this.held.size < HELD_EVENTS_MAX) this.held.set(event.seq, event);
        this.require(event.seq);
        return;
    }
  }

  gap(to: Seq): void {
    this.head = Math.max(this.head, to);
    if (to > this.log.last) {
      this.log.skipTo(to);
      // What happened in there to older messages is not known: they are read again when needed.
      this.log.forget();
    }
    this.drainHeld();
    this.options.changed(this);
  }

  /** Everything up to `head` exists: what is not here yet has to be fetched. */
  require(head: Seq): void {
    this.head = Math.max(this.head, head);
    this.target = Math.max(this.target, head);
    if (this.isComplete || this.repairing) return;
    void this.repair();
  }

  get isComplete(): boolean {
    return this.log.last >= this.target;
  }

  /** A new connection replays from `log.last`: nothing that was held or fetched is needed. */
  forgetRepair(): void {
    this.generation += 1;
    this.repairing = false;
    this.held.clear();
    this.target = this.log.last;
  }

  /**
   * Loads the part of the gap at `seq` that touches its upper (`before`) or lower (`after`) end.
   * Rejects with the request's error, so that the row can say so.
   */
  async fillGap(seq: Seq, side: "before" | "after"): Promise<void> {
    const gap = this.log.pieces.find((piece) => seq >= piece.from && seq <= piece.to);
    if (gap?.kind !== "gap") return;
    const key = `${side}:${side === "before" ? gap.to : gap.from}`;
    if (this.filling.has(key)) return;
    this.filling.add(key);
    this.options.changed(this);
    try {
      const of = side === "before" ? { before: gap.to + 1 } : { after: gap.from - 1 };
      const limit = Math.min(SCROLL_PAGE_EVENTS, gap.to - gap.from + 1);
      const page = await this.options.page(of, limit);
      if (isRun(page.events)) {
        for (const event of this.log.fill(page.events)) this.entered(event);
      }
    } finally {
      this.filling.delete(key);
      this.options.changed(this);
    }
  }

  /**
   * Loads what surrounds an event, if it is not here. Says whether it is here then. Rejects with
   * the request's error.
   */
  async loadAround(seq: Seq): Promise<boolean> {
    if (seq < 1 || seq > this.head) return false;
    if (this.log.find(seq) === undefined && seq <= this.log.last) {
      const before = seq + JUMP_EVENTS_AROUND + 1;
      const page = await this.options.page({ before }, 2 * JUMP_EVENTS_AROUND);
      if (isRun(page.events)) for (const event of this.log.fill(page.events)) this.entered(event);
      this.options.changed(this);
    }
    return this.log.find(seq) !== undefined;
  }

  private entered(event: RoomEvent): void {
    if (event.seq > this.members_seq) {
      this.members_seq = event.seq;
      this.changeBy(event);
    }
    this.options.applied(this, event);
  }

  /** What is newer than the description changes it. */
  private changeBy(event: RoomEvent): void {
    switch (event.kind) {
      case "joined":
      case "added":
        this.members += 1;
        return;
      case "left":
      case "removed":
        this.members -= 1;
        return;
      case "renamed":
        this.name = event.name;
        return;
      case "topic":
        this.topic = event.topic;
        return;
      case "archived":
      case "restored":
        this.archived = event.kind === "archived";
        return;
    }
  }

  private trim(): void {
    if (this.reading_back || this.log.loaded_count <= ROOM_EVENTS_MAX) return;
    this.log.trimOldest(ROOM_EVENTS_KEPT);
  }

  private drainHeld(): void {
    for (
      let next = this.held.get(this.log.last + 1);
      next;
      next = this.held.get(this.log.last + 1)
    ) {
      this.held.delete(next.seq);
      this.log.offer(next);
      this.entered(next);
    }
    for (const seq of this.held.keys()) if (seq <= this.log.last) this.held.delete(seq);
  }

  private async repair(): Promise<void> {
    const generation = this.generation;
    this.repairing = true;
    let attempt = 0;
    while (!this.isComplete) {
      if (this.target - this.log.last > REPLAY_EVENTS_MAX) {
        this.gap(this.target - REPLAY_EVENTS_AFTER_GAP);
      }
      const before = this.log.last;
      const page = await this.nextPage(before);
      if (generation !== this.generation) return;
      if (page !== undefined) this.append(page);
      if (this.log.last > before) {
        attempt = 0;
        continue;
      }
      // Unreachable, or a replica that is behind: neither is a reason to give up.
      await this.sleep(backoffMs(attempt, this.options.random));
      attempt += 1;
      if (generation !== this.generation) return;
    }
    this.repairing = false;
    this.options.repaired(this);
  }

  private async nextPage(after: Seq): Promise<Page | undefined> {
    try {
      return await this.options.page({ after }, PAGE_EVENTS_MAX);
    } catch {
      return undefined;
    }
  }

  private append(page: Page): void {
    if (!isRun(page.events)) return;
    for (const event of page.events) {
      if (this.log.offer(event) === "applied") this.entered(event);
    }
    this.drainHeld();
    this.options.changed(this);
  }

  private sleep(delay_ms: number): Promise<void> {
    return new Promise((resolve) => this.options.clock.after(delay_ms, resolve));
  }
}
