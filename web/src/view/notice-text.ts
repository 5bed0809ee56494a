// The words for what the log tells of the cluster. Pure. Tests: test/notice-text.test.ts

import type { Language } from "../i18n/language.ts";
import type { Words } from "../i18n/en.ts";
import type { NodeId, Notice } from "../generated/frames.ts";

export function noticeText(notice: Notice, text: Words["notices"], spoken: Language): string {
  const time = (ms: number | undefined) =>
    ms === undefined ? undefined : duration(ms, spoken);
  switch (notice.what) {
    case "elected":
      return text.elected(name(notice.node), notice.ballot, time(notice.gap_ms));
    case "silent":
      return text.silent(name(notice.node), duration(notice.for_ms, spoken));
    case "heard":
      return text.heard(name(notice.node), time(notice.after_ms));
    case "voters":
      return text.voters(changeOf(notice, text, spoken), notice.epoch, list(notice.voters, spoken));
  }
}

function changeOf(
  { added, removed }: Extract<Notice, { what: "voters" }>,
  text: Words["notices"],
  spoken: Language,
): string {
  if (added.length > 0 && removed.length > 0)
    return text.replaced(list(added, spoken), list(removed, spoken));
  if (added.length > 0) return text.added(list(added, spoken));
  if (removed.length > 0) return text.removed(list(removed, spoken));
  return text.unchanged;
}

/** As in the cluster panel. */
function name(node: NodeId): string {
  return `r${node}`;
}

function list(nodes: readonly NodeId[], spoken: Language): string {
  return new Intl.ListFormat(spoken, { type: "conjunction" }).format(nodes.map(name));
}

/** 380 ms, 2.1 s, 34 s, 12 min. */
export function duration(ms: number, spoken: Language): string {
  const number = (value: number, digits: number) =>
    value.toLocaleString(spoken, { maximumFractionDigits: digits });
  if (ms < 1_000) return `${number(ms, 0)} ms`;
  if (ms < 10_000) return `${number(ms / 1_000, 1)} s`;
  if (ms < 120_000) return `${number(ms / 1_000, 0)} s`;
  return `${number(ms / 60_000, 0)} min`;
}
