// A browser profile: its storage survives reloads, its tabs come and go.

import { Engine, type EngineEvents } from "../../src/sync/engine.ts";
import type { Me } from "../../src/generated/frames.ts";
import type { OutboxStorage, StoredMessage } from "../../src/outbox/storage.ts";
import type { Tabs } from "../../src/outbox/tabs.ts";
import type { RoomId } from "../../src/sync/event.ts";
import { type FakeClock, seededRandom } from "./clock.ts";
import { FakeCluster } from "./cluster.ts";
import { FakeGateway } from "./gateway.ts";

export class FakeStorage implements OutboxStorage {
  rows: StoredMessage[] = [];
  /** The disk is full while true. */
  full = false;

  async add(message: StoredMessage): Promise<void> {
    await Promise.resolve();
    if (this.full) throw new Error("quota exceeded");
    this.rows.push(message);
  }

  async replace(message: StoredMessage): Promise<void> {
    await Promise.resolve();
    this.rows = this.rows.map((row) => (row.cid === message.cid ? message : row));
  }

  async remove(cid: string): Promise<void> {
    await Promise.resolve();
    this.rows = this.rows.filter((row) => row.cid !== cid);
  }

  async load(): Promise<StoredMessage[]> {
    await Promise.resolve();
    return [...this.rows];
  }

  async removeAll(): Promise<void> {
    this.rows = [];
  }
}

/** Every tab but the newest is gone. */
class FakeTabs implements Tabs {
  constructor(readonly own: string) {}

  whenGone(_owner: string, adopt: () => Promise<void>): () => void {
    void adopt();
    return () => {};
  }
}

export const ME: Me = { id: 7, name: "Ada", role: "member", colour: 0, has_password: true };
export const OTHER: Me = { id: 8, name: "Bob", role: "member", colour: 0, has_password: true };

export class Device {
  readonly cluster = new FakeCluster();
  readonly storage = new FakeStorage();
  readonly gateway: FakeGateway;
  readonly caught_up: number[] = [];
  strangers = 0;
  /** HTTP requests fail while true. */
  http_down = false;
  engine: Engine;
  private tab = 0;
  private written = 0;
  private readonly random: () => number;

  constructor(
    readonly clock: FakeClock,
    seed = 1,
    rooms: RoomId[] = [1],
  ) {
    this.random = seededRandom(seed);
    for (const room of rooms) this.cluster.addRoom(room);
    this.gateway = new FakeGateway({ clock, cluster: this.cluster, user: ME });
    this.engine = this.newEngine();
  }

  /** A reload at any moment: what was only in memory is gone. */
  reload(): void {
    this.engine.stop();
    this.engine = this.newEngine();
    this.engine.start();
  }

  otherWrites(room: RoomId, count = 1): void {
    for (let n = 0; n < count; n += 1)
      this.cluster.apply(OTHER, `other-${this.written++}`, room, "from the other");
  }

  shown(room: RoomId): (string | null)[] {
    const log = this.engine.rooms.get(room)?.log;
    return (log?.pieces ?? []).flatMap((piece) =>
      piece.kind === "gap"
        ? [null]
        : piece.events.map((event) => ("body" in event ? event.body : event.kind)),
    );
  }

  private newEngine(): Engine {
    this.tab += 1;
    const nothing = () => {};
    const events: EngineEvents = {
      connection: nothing,
      rooms: nothing,
      room: nothing,
      outbox: nothing,
      cluster: nothing,
      event: nothing,
      caughtUp: (missed) => this.caught_up.push(missed),
      strangers: () => {
        this.strangers += 1;
      },
      profile: () => {},
      ephemeral: nothing,
    };
    return new Engine({
      user: ME,
      clock: this.clock,
      random: this.random,
      randomBytes: (length) => Uint8Array.from({ length }, () => Math.floor(this.random() * 256)),
      open: this.gateway.open,
      unread: async () => this.cluster.joined(),
      history: this.cluster.history(() => this.http_down),
      storage: this.storage,
      tabs: new FakeTabs(`tab-${this.tab}`),
      events,
    });
  }
}
