// Keeps the place in a list whose rows come and go at both ends: at the end it follows, elsewhere
// the row under the reader's eyes stays where it is.

import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

/** So close to the end counts as the end. */
const END_PX = 48;
/** So close to an edge the next rows are fetched. */
const EDGE_PX = 600;

interface Anchor {
  element: HTMLElement;
  top: number;
}

export interface ScrollOptions {
  scroller: RefObject<HTMLElement | null>;
  /** Decided by the person's scrolling, kept over renders. */
  is_following: { current: boolean };
  moved(): void;
}

/**
 * Returns what to call after the list was scrolled by the page: the place that it has is kept then,
 * or followed if it is the end.
 */
export function useScroll({ scroller, is_following, moved }: ScrollOptions): () => void {
  const anchor = useRef<Anchor | undefined>(undefined);
  /** Where the list stood when that was last looked at. */
  const top = useRef(0);
  const latest = useRef(moved);
  latest.current = moved;

  const standing = (element: HTMLElement) => {
    anchor.current = anchorOf(element);
    top.current = element.scrollTop;
  };
  const scrolled = (element: HTMLElement) => {
    is_following.current = distanceToEnd(element) < END_PX;
    standing(element);
  };
  const settle = (element: HTMLElement) => {
    // A browser tells what the pointer is over before it tells of the scrolling that brought it
    // there: a render in between must not take the person back.
    if (Math.abs(element.scrollTop - top.current) > 1) {
      scrolled(element);
      return;
    }
    keepPlace(element, is_following.current, anchor.current);
    standing(element);
  };

  // After every render, before the browser paints.
  useLayoutEffect(() => {
    if (scroller.current !== null) settle(scroller.current);
  });

  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const onScroll = () => {
      scrolled(element);
      latest.current();
    };
    // The pane shrinks when the composer grows or a phone shows its keyboard.
    const resized = new ResizeObserver(() => settle(element));
    element.addEventListener("scroll", onScroll, { passive: true });
    resized.observe(element);
    return () => {
      element.removeEventListener("scroll", onScroll);
      resized.disconnect();
    };
  }, []);

  return () => {
    if (scroller.current !== null) scrolled(scroller.current);
  };
}

export function isNearStart(element: HTMLElement): boolean {
  return element.scrollTop < EDGE_PX;
}

export function isNearEnd(element: HTMLElement): boolean {
  return distanceToEnd(element) < EDGE_PX;
}

function distanceToEnd(element: HTMLElement): number {
  return element.scrollHeight - element.scrollTop - element.clientHeight;
}

function keepPlace(element: HTMLElement, following: boolean, anchor: Anchor | undefined): void {
  if (following) {
    element.scrollTop = element.scrollHeight;
  } else if (anchor?.element.isConnected === true) {
    element.scrollTop += anchor.element.getBoundingClientRect().top - anchor.top;
  }
}

/** The first row in sight that will not go away: a gap shrinks, a day line may repeat. */
function anchorOf(element: HTMLElement): Anchor | undefined {
  const edge = element.getBoundingClientRect().top;
  for (const row of element.querySelectorAll<HTMLElement>("[data-anchor]")) {
    const { top, bottom } = row.getBoundingClientRect();
    if (bottom > edge) return { element: row, top };
  }
  return undefined;
}
