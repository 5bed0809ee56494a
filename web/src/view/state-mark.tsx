// How far an own message has come: ◌ queued, ◔ proposed, ◑ chosen by a quorum, ● applied. Four
// shapes, so that nobody needs the colour, and the words for those who need neither.

import type { Progress } from "../outbox/outbox.ts";
import { words } from "../i18n/language.ts";

export type MessageState = Progress | "applied";

const FILLED: Record<MessageState, string> = {
  queued: "",
  proposed: "M8 8V3a5 5 0 0 1 5 5Z",
  chosen: "M8 3a5 5 0 0 1 0 10Z",
  applied: "M8 3a5 5 0 0 1 0 10A5 5 0 0 1 8 3Z",
  failed: "",
};

export function StateMark({ state }: { state: MessageState }) {
  const label = words.value.states[state];
  return (
    <span class={`state-mark state-${state}`} role="img" aria-label={label} title={label}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <circle class="state-ring" cx="8" cy="8" r="5" />
        <path class="state-fill" d={FILLED[state]} />
        {state === "failed" && <path class="state-cross" d="m6 6 4 4m0-4-4 4" />}
      </svg>
    </span>
  );
}
