// The one place that speaks to screen readers by itself. Everything else is silent until asked.

import { signal } from "@preact/signals";

const spoken = signal("");

export function announce(text: string): void {
  spoken.value = text;
}

export function Announcer() {
  return (
    <div class="hidden-visually" aria-live="polite" aria-atomic="true">
      {spoken.value}
    </div>
  );
}
