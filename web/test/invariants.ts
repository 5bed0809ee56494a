// What must hold of a client at every moment, checked against the cluster's own sequence.

import assert from "node:assert/strict";

import type { Device } from "./fakes/device.ts";

/** Remembers what was once shown, so that `check` notices when it moves. */
export class Invariants {
  private readonly shown = new Map<string, string>();

  constructor(private readonly device: Device) {}

  check(): void {
    for (const room of this.device.engine.rooms.values()) {
      this.contiguous(room.id);
      this.immovable(room.id);
      this.tailIsNotShownTwice(room.id);
    }
  }

  /** C3: the pieces cover 1…last without hole or overlap, and what is loaded is the sequence. */
  private contiguous(id: number): void {
    const log = this.device.engine.rooms.get(id)?.log;
    const truth = this.device.cluster.events(id);
    let expected = 1;
    for (const piece of log?.pieces ?? []) {
      assert.equal(piece.from, expected, "C3: a piece begins where the one before ended");
      assert.ok(piece.to >= piece.from, "C3: no piece is empty");
      if (piece.kind === "loaded") {
        assert.deepEqual(
          piece.events,
          truth.slice(piece.from - 1, piece.to),
          "C3: the one sequence",
        );
      }
      expected = piece.to + 1;
    }
    assert.ok(expected - 1 <= truth.length, "C3: nothing beyond the head");
  }

  /** C6: a place in the sequence keeps its message. */
  private immovable(id: number): void {
    for (const piece of this.device.engine.rooms.get(id)?.log.pieces ?? []) {
      if (piece.kind === "gap") continue;
      for (const event of piece.events) {
        const place = `${id}/${event.seq}`;
        const content = JSON.stringify(event);
        assert.equal(this.shown.get(place) ?? content, content, "C6: once shown, never moved");
        this.shown.set(place, content);
      }
    }
  }

  /** C2 on the screen: a message stands either in the sequence or in the tail. */
  private tailIsNotShownTwice(id: number): void {
    const cids = new Set<string>();
    for (const piece of this.device.engine.rooms.get(id)?.log.pieces ?? []) {
      if (piece.kind === "gap") continue;
      for (const event of piece.events) if (event.kind === "message") cids.add(event.cid);
    }
    for (const entry of this.device.engine.outbox.entries) {
      assert.ok(!cids.has(entry.stored.cid), "C2: not in the sequence and in the tail at once");
    }
  }
}
