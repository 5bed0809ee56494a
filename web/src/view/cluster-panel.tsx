// Each replica as this gateway sees it. Read-only; drawn only while it is open.

import { useSignal } from "@preact/signals";

import { language, words } from "../i18n/language.ts";
import type { Cluster, Replica } from "../generated/frames.ts";
import { CLUSTER_PANEL_ID } from "./cluster-chip.tsx";
import { CloseIcon } from "./icons.tsx";
import { summary } from "./replicas.ts";

export function ClusterPanel({ cluster }: { cluster: Cluster | undefined }) {
  const open = useSignal(false);
  const text = words.value.cluster;
  return (
    <section
      id={CLUSTER_PANEL_ID}
      class="cluster-panel"
      popover="auto"
      aria-labelledby="cluster-title"
      data-testid="cluster-panel"
      onToggle={(event) => {
        open.value = event.newState === "open";
      }}
    >
      <header>
        <h2 id="cluster-title">{text.title}</h2>
        <button
          type="button"
          class="button-icon"
          popovertarget={CLUSTER_PANEL_ID}
          popovertargetaction="hide"
          aria-label={words.value.close}
        >
          <CloseIcon />
        </button>
      </header>
      <p class="cluster-summary">{summary(cluster)}</p>
      {open.value && cluster !== undefined && <Replicas cluster={cluster} />}
    </section>
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
