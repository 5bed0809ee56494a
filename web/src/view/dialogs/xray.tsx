// What happened to one message on its way: where it stands in the log, how long each stage took
// (known for what this page sent), and who has applied it.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import type { Cluster } from "../../generated/frames.ts";
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
  const asked = useSignal<Cluster | undefined>(undefined);
  useEffect(() => {
    void api.cluster().then(
      (cluster) => {
        asked.value = cluster;
      },
      () => {},
    );
  }, [event]);
  const cluster = asked.value ?? workspace.cluster.value;
  const number = (value: number) => value.toLocaleString(language.value);
  const journey =
    event.author.id === workspace.user.id ? workspace.engine.latency.of(event.cid) : undefined;
  const applied = (cluster?.replicas ?? []).filter(({ applied }) => (applied ?? 0) >= event.slot);
  const missing = (cluster?.replicas ?? []).filter((one) => !applied.includes(one));
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
        <Fact
          name={text.appliedBy}
          value={
            applied.length === 0 ? text.unknown : applied.map((one) => one.name).join(" ")
          }
        />
        {missing.length > 0 && (
          <Fact name={text.notYet} value={missing.map((one) => one.name).join(" ")} />
        )}
        <Fact name={text.id} value={event.cid} />
      </dl>
      {journey === undefined && <p class="hint">{text.notMeasured}</p>}
    </Dialog>
  );
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
