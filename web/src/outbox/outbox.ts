// The messages that this tab has not yet seen in a room's sequence: a FIFO per room, one in
// flight, the same `cid` until the ack, for ever if need be.
//
// In: what the person writes; ack, err, echo and progress by `cid`; links coming and going.
// Out: `send` frames. Invariants: C2 (with the state machine's dedupe), C7.
// Without DOM and clockless but for the injected one. Tests: test/outbox.test.ts, test/sync.test.ts

import type { Cancel, Clock, Random } from "../clock/clock.ts";
import type { ClientFrame } from "../generated/frames.ts";
import { backoffMs } from "../socket/backoff.ts";
import type { Cid, RoomId, Seq } from "../sync/event.ts";
import { ANSWER_MS_MAX } from "../sync/limits.ts";
import type { Failure, OutboxStorage, StoredMessage } from "./storage.ts";
import type { Tabs } from "./tabs.ts";

/** Never "applied": it is that when it stands in the room's sequence, and then it is not here. */
export type Progress = "queued" | "proposed" | "chosen" | "failed";

export interface OutboxEntry {
  stored: StoredMessage;
  progress: Progress;
  /** The ack's place in the sequence, while the echo is still on its way. */
  seq?: Seq;
}

interface Entry extends OutboxEntry {
  in_flight: boolean;
  /** Failed attempts in a row. */
  attempt: number;
  /** Not sent again before this moment. */
  not_before_ms: number;
}

export interface OutboxOptions {
  clock: Clock;
  random: Random;
  storage: OutboxStorage;
  tabs: Tabs;
  makeCid(): Cid;
  /** False while there is no link, or no room for one more request in flight. */
  mayTransmit(): boolean;
  transmit(frame: ClientFrame): void;
  changed(): void;
}

export class Outbox {
  private readonly options: OutboxOptions;
  private list: Entry[] = [];
  private readonly watched = new Map<string, Cancel>();
  private cancelPump: Cancel | undefined;
  /** Writes to the storage happen one after the other, in the order of the calls. */
  private writing: Promise<void> = Promise.resolve();

  constructor(options: OutboxOptions) {
    this.options = options;
  }

  get entries(): readonly OutboxEntry[] {
    return this.list;
  }

  get in_flight(): number {
    return this.list.filter((entry) => entry.in_flight).length;
  }

  /** Written by the person and not yet committed, as far as this device knows. */
  get waiting(): number {
    return this.list.filter((entry) => entry.progress !== "failed" && entry.seq === undefined)
      .length;
  }

  has(cid: Cid): boolean {
    return this.list.some((entry) => entry.stored.cid === cid);
  }

  /** Resolves when the message is durable and only then shown; rejects when it cannot be stored. */
  enqueue(room: RoomId, body: string, reply_to?: Seq): Promise<void> {
    const { clock, makeCid, storage, tabs } = this.options;
    const stored: StoredMessage = {
      cid: makeCid(),
      room,
      body,
      ...(reply_to !== undefined && { reply_to }),
      written_ms: clock.now(),
      owner: tabs.own,
    };
    return this.write(async () => {
      await storage.add(stored);
      this.list.push(fresh(stored));
      this.options.changed();
      this.pump();
    });
  }

  /** Takes over what tabs that are gone have left; watches those that still live. */
  async adopt(): Promise<void> {
    const { storage, tabs } = this.options;
    await this.write(async () => {
      for (const { owner } of await storage.load()) {
        if (owner === tabs.own || this.watched.has(owner)) continue;
        this.watched.set(
          owner,
          tabs.whenGone(owner, () => this.inherit(owner)),
        );
      }
    });
  }

  close(): void {
    this.cancelPump?.();
    for (const cancel of this.watched.values()) cancel();
    this.watched.clear();
  }

  /** The person signs out and gives up what waits. */
  discard(): Promise<void> {
    this.list = [];
    return this.write(() => this.options.storage.removeAll());
  }

  progress(cid: Cid, progress: "proposed" | "chosen"): void {
    const entry = this.find(cid);
    if (entry === undefined || entry.progress === "failed" || entry.progress === "chosen") return;
    entry.progress = progress;
    this.options.changed();
  }

  /** Committed and applied. Shown as such only in its place, so that it never moves (C6). */
  acknowledged(cid: Cid, seq: Seq, last: Seq): void {
    const entry = this.find(cid);
    if (entry === undefined) return;
    if (seq <= last) {
      this.finish(entry);
      return;
    }
    entry.seq = seq;
    entry.progress = "chosen";
    entry.in_flight = false;
    this.forget(cid);
    this.options.changed();
    this.pump();
  }

  /** The message stands in the room's sequence, whether its ack came or not. */
  echoed(cid: Cid): void {
    const entry = this.find(cid);
    if (entry !== undefined) this.finish(entry);
  }

  /** The sequence went past acknowledged messages without showing them, in an explicit gap. */
  passed(room: RoomId, last: Seq): void {
    for (const entry of this.list.filter((one) => one.stored.room === room)) {
      if (entry.seq !== undefined && entry.seq <= last) this.finish(entry);
    }
  }

  /** Not now: stays queued and keeps its place before later messages of the room. */
  postponed(cid: Cid, retry_ms?: number): void {
    const entry = this.find(cid);
    if (entry === undefined || entry.seq !== undefined || !entry.in_flight) return;
    const { clock, random } = this.options;
    entry.in_flight = false;
    if (entry.progress === "proposed") entry.progress = "queued";
    entry.not_before_ms = clock.now() + (retry_ms ?? backoffMs(entry.attempt, random));
    entry.attempt += 1;
    this.options.changed();
    this.pump();
  }

  /** Never: the person decides. Later messages of the room go on. */
  refused(cid: Cid, failure: Failure): void {
    const entry = this.find(cid);
    if (entry === undefined || entry.seq !== undefined) return;
    entry.in_flight = false;
    entry.progress = "failed";
    entry.stored = { ...entry.stored, failure };
    this.keep(entry.stored);
    this.options.changed();
    this.pump();
  }

  /**
   * Says a refused message anew, behind what was written since. Under a new `cid`: the state
   * machine has answered the old one for ever, so that no late copy of it takes effect.
   */
  retry(cid: Cid): Promise<void> {
    const { makeCid, storage } = this.options;
    return this.write(async () => {
      const entry = this.find(cid);
      if (entry === undefined || entry.progress !== "failed") return;
      const { failure: _forgotten, ...rest } = entry.stored;
      const stored: StoredMessage = { ...rest, cid: makeCid() };
      await storage.add(stored);
      this.list = [...this.list.filter((one) => one !== entry), fresh(stored)];
      this.options.changed();
      this.pump();
      await storage.remove(cid);
    });
  }

  /** The person gives a refused message up. */
  dismiss(cid: Cid): void {
    const entry = this.find(cid);
    if (entry?.progress === "failed") this.finish(entry);
  }

  /** What was in flight may or may not have arrived: it is sent again with the same `cid`. */
  linkLost(): void {
    for (const entry of this.list) {
      entry.in_flight = false;
      if (entry.progress === "proposed") entry.progress = "queued";
    }
    this.options.changed();
  }

  /** The link or the quorum is back: nobody waits for an old back-off. */
  hurry(): void {
    for (const entry of this.list) {
      entry.not_before_ms = 0;
      entry.attempt = 0;
    }
    this.pump();
  }

  /** The cluster was restored and may lack what it had acknowledged: offer it again. */
  reopen(): void {
    for (const entry of this.list) {
      if (entry.seq === undefined) continue;
      delete entry.seq;
      entry.progress = "queued";
    }
    this.linkLost();
  }

  /** Sends the first message of each room that has none in flight. */
  pump(): void {
    const { clock, mayTransmit, transmit } = this.options;
    this.cancelPump?.();
    const now_ms = clock.now();
    let next_ms = Infinity;
    const busy = new Set<RoomId>();
    for (const entry of this.list) {
      if (entry.progress === "failed" || entry.seq !== undefined) continue;
      const { cid, room, body, reply_to } = entry.stored;
      if (busy.has(room)) continue;
      busy.add(room);
      if (entry.in_flight && entry.not_before_ms > now_ms) {
        next_ms = Math.min(next_ms, entry.not_before_ms);
        continue;
      }
      if (!mayTransmit()) continue;
      if (entry.not_before_ms > now_ms) {
        next_ms = Math.min(next_ms, entry.not_before_ms);
        continue;
      }
      entry.in_flight = true;
      // An answer can get lost while the link lives (`lag` clears the gateway's queue).
      entry.not_before_ms = now_ms + ANSWER_MS_MAX;
      next_ms = Math.min(next_ms, entry.not_before_ms);
      transmit({ t: "send", cid, room, body, ...(reply_to !== undefined && { reply_to }) });
    }
    if (next_ms < Infinity)
      this.cancelPump = clock.after(Math.max(0, next_ms - now_ms), () => this.pump());
  }

  private async inherit(owner: string): Promise<void> {
    const { storage, tabs } = this.options;
    this.watched.delete(owner);
    await this.write(async () => {
      const messages = await storage.load();
      for (const message of messages) {
        if (message.owner !== owner) continue;
        const stored = { ...message, owner: tabs.own };
        await storage.replace(stored);
        if (!this.has(stored.cid)) this.list.push(fresh(stored));
      }
      // What the other tab left is older than what was written here since.
      const order = new Map(messages.map((message, index) => [message.cid, index]));
      this.list.sort((a, b) => (order.get(a.stored.cid) ?? -1) - (order.get(b.stored.cid) ?? -1));
      this.options.changed();
      this.pump();
    });
    // A third tab may have taken some of it meanwhile, and may be gone too.
    await this.adopt();
  }

  private find(cid: Cid): Entry | undefined {
    return this.list.find((entry) => entry.stored.cid === cid);
  }

  private finish(entry: Entry): void {
    this.list = this.list.filter((one) => one !== entry);
    this.forget(entry.stored.cid);
    this.options.changed();
    this.pump();
  }

  private keep(stored: StoredMessage): void {
    void this.write(() => this.options.storage.replace(stored)).catch(ignoreStorage);
  }

  private forget(cid: Cid): void {
    void this.write(() => this.options.storage.remove(cid)).catch(ignoreStorage);
  }

  private write(action: () => Promise<void>): Promise<void> {
    const result = this.writing.then(action);
    this.writing = result.catch(ignoreStorage);
    return result;
  }
}

/** What could not be removed is sent once more after a reload, and answered with `dup`. */
function ignoreStorage(): void {}

function fresh(stored: StoredMessage): Entry {
  const progress = stored.failure === undefined ? "queued" : "failed";
  return { stored, progress, in_flight: false, attempt: 0, not_before_ms: 0 };
}
