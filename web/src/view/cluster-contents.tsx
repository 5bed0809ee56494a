// What the panel of the cluster shows: asked for and drawn only while it is open, loaded then.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import * as api from "../http/api.ts";
import { language, words } from "../i18n/language.ts";
import type { Cluster, Replica } from "../generated/frames.ts";
import type { Workspace } from "../store/workspace.ts";
import { ClusterTimeline } from "./cluster-timeline.tsx";
import { CommitLatency } from "./commit-latency.tsx";
import { DemoButtons } from "./demo-buttons.tsx";
import { duration } from "./notice-text.ts";
import { meaning, summary } from "./replicas.ts";

/** Twice a second; the gateway itself looks no more often. */
const ASK_EVERY_MS = 500;

export function Contents({ workspace }: { workspace: Workspace }) {
  const fresh = useSignal<Cluster | undefined>(undefined);
  useEffect(() => {
    let is_asking = false;
    const ask = async () => {
      if (is_asking) return;
      is_asking = true;
      try {
        fresh.value = await api.cluster();
      } catch {
        // What the socket told last is shown.
        fresh.value = undefined;
      } finally {
        is_asking = false;
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), ASK_EVERY_MS);
    return () => clearInterval(timer);
  }, []);

  const cluster = fresh.value ?? workspace.cluster.value;
  return (
    <>
      <p class="cluster-summary" data-testid="cluster-summary">
        <strong>{summary(cluster)}</strong> {cluster !== undefined && meaning(cluster)}
      </p>
      {cluster !== undefined && <Replicas cluster={cluster} />}
      {cluster?.demo === true && workspace.may_administer && <DemoButtons cluster={cluster} />}
      <CommitLatency workspace={workspace} />
      <ClusterTimeline workspace={workspace} />
    </>
  );
}

function Replicas({ cluster }: { cluster: Cluster }) {
  const text = words.value.cluster;
  return (
    <>
      <table class="replicas">
        <thead>
          <tr>
            <th scope="col">{text.replica}</th>
            <th scope="col">{text.role}</th>
            <th scope="col">{text.ballot}</th>
            <th scope="col">{text.decided}</th>
            <th scope="col">{text.applied}</th>
            <th scope="col">{text.lag}</th>
          </tr>
        </thead>
        <tbody>
          {cluster.replicas.map((replica) => (
            <ReplicaRow key={replica.node} replica={replica} />
          ))}
        </tbody>
      </table>
      <dl class="cluster-facts">
        <div>
          <dt>{text.gateway}</dt>
          <dd>{cluster.gateway}</dd>
        </div>
        <div>
          <dt>{text.membership}</dt>
          <dd>{cluster.membership ? text.answers : text.absent}</dd>
        </div>
        <div>
          <dt>{text.epoch}</dt>
          <dd>{cluster.epoch}</dd>
        </div>
      </dl>
    </>
  );
}

function ReplicaRow({ replica }: { replica: Replica }) {
  const text = words.value.cluster;
  const number = (value: number | undefined) => value?.toLocaleString(language.value) ?? "–";
  return (
    <tr data-testid="replica" data-node={replica.node} data-role={replica.role}>
      <th scope="row">
        <span class={replica.role === "unreachable" ? "dot dot-down" : "dot"} aria-hidden="true" />
        {replica.name}
        <span class="replica-facts">{factsOf(replica)}</span>
      </th>
      <td class={`role role-${replica.role}`}>
        {text.roles[replica.role]}
        {replica.suspected && <span class="suspected">{text.suspected}</span>}
      </td>
      <td>{replica.ballot ?? "–"}</td>
      <td>{number(replica.decided)}</td>
      <td>{number(replica.applied)}</td>
      <td>{number(replica.lag)}</td>
    </tr>
  );
}

/** up 3 min · log 1.2 MB · disk 2.1 ms */
function factsOf({ uptime_ms, log_bytes, disk_us }: Replica): string {
  const text = words.value.cluster;
  const spoken = language.value;
  const number = (value: number) => value.toLocaleString(spoken, { maximumFractionDigits: 1 });
  return [
    ...(uptime_ms === undefined ? [] : [text.uptime(duration(uptime_ms, spoken))]),
    ...(log_bytes === undefined ? [] : [text.log(`${number(log_bytes / 1_000_000)} MB`)]),
    ...(disk_us === undefined ? [] : [text.disk(`${number(disk_us / 1_000)} ms`)]),
  ].join(" · ");
}
