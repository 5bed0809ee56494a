// What happened to one message on its way: where it stands in the log, how long each stage took
// (known for what this page sent), and who has applied it.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import type { CopyState, SlotCopy } from "../../generated/frames.ts";
import * as api from "../../http/api.ts";
import { language, words } from "../../i18n/language.ts";
import type { Workspace } from "../../store/workspace.ts";
import type { MessageEvent } from "../../sync/event.ts";
import type { Journey } from "../../sync/latency.ts";
import { fullMoment } from "../dates.ts";
import { Dialog } from "./dialog.tsx";

interface XRayProps {
  workspace: Workspace;
  event: MessageEvent;
  close(): void;
}

export function XRay({ workspace, event, close }: XRayProps) {
  const text = words.value.xray;
  const copies = useSignal<SlotCopy[]>([]);
  useEffect(() => {
    void api.slot(event.slot).then(
      (answer) => {
        copies.value = answer.copies;
      },
      () => {},
    );
  }, [event]);
  const number = (value: number) => value.toLocaleString(language.value);
  const journey =
    event.author.id === workspace.user.id ? workspace.engine.latency.of(event.cid) : undefined;
  const having = (state: CopyState) => copies.value.filter((copy) => copy.state === state);
  const names = (some: SlotCopy[]) => some.map((copy) => copy.name).join(" ");
  const [here, compacted, silent] = [having("here"), having("compacted"), having("silent")];
  const applied = copies.value.filter((copy) => copy.applied);
  const missing = copies.value.filter((copy) => !copy.applied && copy.state !== "silent");
  // Accepted again under a higher ballot by some: the highest is the one that all will have.
  const ballot = here.map((copy) => copy.ballot ?? "").sort(byRound).at(-1);
  return (
    <Dialog title={text.title} close={close}>
      <p class="hint">{text.lead}</p>
      <dl class="xray" data-testid="xray" data-slot={event.slot} data-seq={event.seq}>
        <Fact name={text.place} value={text.placeText(number(event.slot), number(event.seq))} />
        <Fact name={text.when} value={fullMoment(event.ts)} />
        {stagesOf(journey).map(([stage, ms]) => (
          <Fact
            key={stage}
            name={text[stage]}
            value={text.after(`${ms.toLocaleString(language.value)} ms`)}
          />
        ))}
        {ballot !== undefined && (
          <Fact name={text.ballot} value={text.ballotText(ballot, `r${ballot.split(".").at(-1)}`)} />
        )}
        {here.length > 0 && (
          <Fact name={text.acceptedBy} value={text.acceptedText(names(here))} />
        )}
        {compacted.length > 0 && (
          <Fact name={text.compacted} value={text.compactedText(names(compacted))} />
        )}
        <Fact
          name={text.appliedBy}
          value={applied.length === 0 ? text.unknown : names(applied)}
        />
        {missing.length > 0 && <Fact name={text.notYet} value={names(missing)} />}
        {silent.length > 0 && <Fact name={text.silent} value={names(silent)} />}
        <Fact name={text.id} value={event.cid} />
      </dl>
      {journey === undefined && <p class="hint">{text.notMeasured}</p>}
    </Dialog>
  );
}

/** Ballots are written `round.node`. */
function byRound(a: string, b: string): number {
  const [[first = 0, one = 0], [second = 0, other = 0]] = [a, b].map((ballot) =>
    ballot.split(".").map(Number),
  ) as [number[], number[]];
  return first - second || one - other;
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function stagesOf(journey: Journey | undefined): ["proposed" | "chosen" | "applied", number][] {
  if (journey === undefined) return [];
  return (["proposed", "chosen", "applied"] as const).flatMap((stage) => {
    const ms = journey[`${stage}_ms`];
    return ms === undefined ? [] : [[stage, ms] as ["proposed" | "chosen" | "applied", number]];
  });
}
