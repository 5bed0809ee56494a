// What this client knows of one room's sequence: a chain of pieces, each a run of loaded events
// or an explicit gap, which together cover 1…last without a hole and without an overlap.
//
// Invariants: C3 (contiguous, in order), C6 (an event never changes or moves once it is here).
// Pure: no time, no network. Tests: test/room-log.test.ts

import type { RoomEvent, Seq } from "./event.ts";

export type Piece =
  | { kind: "loaded"; from: Seq; to: Seq; events: readonly RoomEvent[] }
  | { kind: "gap"; from: Seq; to: Seq };

export type Offer = "applied" | "known" | "ahead";

export class RoomLog {
  private chain: Piece[] = [];
  private loaded = 0;

  /** The end of the chain: everything up to here is loaded or an explicit gap. */
  get last(): Seq {
    return this.chain.at(-1)?.to ?? 0;
  }

  get pieces(): readonly Piece[] {
    return this.chain;
  }

  get loaded_count(): number {
    return this.loaded;
  }

  /** The client's rule: `seq ≤ last` is dropped, `= last+1` applied, more means a missing range. */
  offer(event: RoomEvent): Offer {
    if (event.seq <= this.last) return "known";
    if (event.seq > this.last + 1) return "ahead";
    const end = this.chain.at(-1);
    if (end?.kind === "loaded") {
      this.chain[this.chain.length - 1] = { ...end, to: event.seq, events: [...end.events, event] };
    } else {
      this.chain.push({ kind: "loaded", from: event.seq, to: event.seq, events: [event] });
    }
    this.loaded += 1;
    return "applied";
  }

  /**
   * Everything after `last` up to `to` exists but is not here. A gap that starts later than
   * `last + 1` is widened: what lies between is just as unknown, and a hole would hide it.
   */
  skipTo(to: Seq): void {
    const from = this.last + 1;
    if (to < from) return;
    const end = this.chain.at(-1);
    if (end?.kind === "gap") this.chain[this.chain.length - 1] = { ...end, to };
    else this.chain.push({ kind: "gap", from, to });
  }

  /**
   * Puts a contiguous run of events into the gaps that it touches. What is loaded already stays
   * as it is, and what lies beyond `last` is left for `offer`. Returns what is new.
   */
  fill(run: readonly RoomEvent[]): RoomEvent[] {
    const fresh: RoomEvent[] = [];
    this.chain = joined(
      this.chain.flatMap((piece) => {
        if (piece.kind === "loaded") return [piece];
        const inside = run.filter((event) => event.seq >= piece.from && event.seq <= piece.to);
        fresh.push(...inside);
        return split(piece, inside);
      }),
    );
    this.loaded += fresh.length;
    return fresh;
  }

  /** Turns everything back into a gap. */
  forget(): void {
    this.trimOldest(0);
  }

  /** Turns the oldest loaded events back into a gap, so that memory has a limit. */
  trimOldest(keep: number): void {
    let excess = this.loaded - keep;
    if (excess <= 0) return;
    this.loaded -= excess;
    this.chain = joined(
      this.chain.flatMap((piece): Piece[] => {
        if (piece.kind === "gap" || excess === 0) return [piece];
        const dropped = Math.min(excess, piece.events.length);
        excess -= dropped;
        const gap: Piece = { kind: "gap", from: piece.from, to: piece.from + dropped - 1 };
        return dropped === piece.events.length
          ? [gap]
          : [gap, { ...piece, from: gap.to + 1, events: piece.events.slice(dropped) }];
      }),
    );
  }

  find(seq: Seq): RoomEvent | undefined {
    for (const piece of this.chain) {
      if (seq < piece.from || seq > piece.to) continue;
      return piece.kind === "loaded" ? piece.events[seq - piece.from] : undefined;
    }
    return undefined;
  }
}

/** True when the events are consecutive and, if asked, begin or end where the caller expects. */
export function isRun(
  events: readonly RoomEvent[],
  expected: { first?: Seq; last?: Seq } = {},
): boolean {
  const first = events[0];
  if (first === undefined) return true;
  if (expected.first !== undefined && first.seq !== expected.first) return false;
  if (expected.last !== undefined && events.at(-1)?.seq !== expected.last) return false;
  return events.every((event, index) => event.seq === first.seq + index);
}

function split(gap: Piece, events: readonly RoomEvent[]): Piece[] {
  const first = events[0];
  const last = events.at(-1);
  if (first === undefined || last === undefined) return [gap];
  const pieces: Piece[] = [];
  if (first.seq > gap.from) pieces.push({ kind: "gap", from: gap.from, to: first.seq - 1 });
  pieces.push({ kind: "loaded", from: first.seq, to: last.seq, events });
  if (last.seq < gap.to) pieces.push({ kind: "gap", from: last.seq + 1, to: gap.to });
  return pieces;
}

/** Neighbours of one kind become one piece. */
function joined(pieces: readonly Piece[]): Piece[] {
  const result: Piece[] = [];
  for (const piece of pieces) {
    const before = result.at(-1);
    if (before?.kind === "loaded" && piece.kind === "loaded") {
      result[result.length - 1] = {
        ...before,
        to: piece.to,
        events: [...before.events, ...piece.events],
      };
    } else if (before?.kind === "gap" && piece.kind === "gap") {
      result[result.length - 1] = { ...before, to: piece.to };
    } else {
      result.push(piece);
    }
  }
  return result;
}
