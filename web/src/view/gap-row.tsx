// "N messages not loaded": an explicit row where the sequence has events that are not here. Loads
// by itself when it is scrolled to, and on a click when that has failed.

import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { words } from "../i18n/language.ts";
import type { Seq } from "../sync/event.ts";
import type { RoomSync } from "../sync/room-sync.ts";

/** Loading begins before the row is in sight. */
const AHEAD = "200px 0px";

interface GapRowProps {
  room: RoomSync;
  from: Seq;
  to: Seq;
  scroller: RefObject<HTMLDivElement | null>;
}

export function GapRow({ room, from, to, scroller }: GapRowProps) {
  const row = useRef<HTMLDivElement>(null);
  const is_loading = useSignal(false);
  const has_failed = useSignal(false);

  const load = async (side: "before" | "after") => {
    if (is_loading.value) return;
    is_loading.value = true;
    has_failed.value = false;
    try {
      await room.fillGap(side === "before" ? to : from, side);
    } catch {
      has_failed.value = true;
    } finally {
      is_loading.value = false;
    }
  };

  useEffect(() => {
    const element = row.current;
    if (element === null) return;
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (entry?.isIntersecting !== true || has_failed.value) return;
        void load(sideOf(entry));
      },
      { root: scroller.current, rootMargin: AHEAD },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [from, to]);

  const text = words.value.timeline;
  return (
    <div ref={row} class="gap" data-testid="gap" data-from={from} data-to={to}>
      <button type="button" onClick={() => void load("before")}>
        {is_loading.value
          ? text.loading
          : has_failed.value
            ? text.gapFailed
            : text.gap(to - from + 1)}
      </button>
    </div>
  );
}

/** A gap that comes in from above is loaded from its end, one from below from its beginning. */
function sideOf(entry: IntersectionObserverEntry): "before" | "after" {
  const middle =
    entry.rootBounds === null ? 0 : (entry.rootBounds.top + entry.rootBounds.bottom) / 2;
  return entry.boundingClientRect.top < middle ? "before" : "after";
}
