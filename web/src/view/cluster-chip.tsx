// The cluster in the header: ●●● / ●●○ / no quorum. A filled dot answers, an empty one does not.

import { words } from "../i18n/language.ts";
import type { Cluster } from "../generated/frames.ts";
import { summary } from "./replicas.ts";

export const CLUSTER_PANEL_ID = "cluster-panel";

export function ClusterDots({ cluster }: { cluster: Cluster }) {
  return (
    <span class="dots" aria-hidden="true">
      {Array.from({ length: cluster.voters }, (_, index) => (
        <span key={index} class={index < cluster.up ? "dot" : "dot dot-down"} />
      ))}
    </span>
  );
}

export function ClusterChip({ cluster }: { cluster: Cluster | undefined }) {
  const label = summary(cluster);
  const quorum = cluster?.quorum ?? false;
  return (
    <button
      type="button"
      class={quorum || cluster === undefined ? "chip" : "chip chip-alarm"}
      data-testid="cluster-chip"
      data-up={cluster?.up}
      data-voters={cluster?.voters}
      data-quorum={quorum}
      popovertarget={CLUSTER_PANEL_ID}
      aria-label={`${words.value.cluster.open}: ${label}`}
      title={label}
    >
      {cluster !== undefined && <ClusterDots cluster={cluster} />}
      {cluster !== undefined && !quorum && <span>{words.value.cluster.noQuorum}</span>}
    </button>
  );
}
