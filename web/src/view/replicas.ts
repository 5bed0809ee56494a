// What the chip and the line on the first screen say about the cluster.

import { words } from "../i18n/language.ts";
import type { Cluster } from "../generated/frames.ts";

/** How many more replicas may fail; below zero there is no quorum. */
function spareReplicas(cluster: Cluster): number {
  const majority = Math.floor(cluster.voters / 2) + 1;
  return cluster.quorum ? Math.max(0, cluster.up - majority) : -1;
}

export function summary(cluster: Cluster | undefined): string {
  if (cluster === undefined) return words.value.cluster.unknown;
  return words.value.cluster.summary(cluster.up, cluster.voters, spareReplicas(cluster));
}

/** In words for whoever has never heard of a quorum: what that means for a message. */
export function meaning(cluster: Cluster): string {
  const text = words.value.cluster;
  const majority = Math.floor(cluster.voters / 2) + 1;
  const spare = spareReplicas(cluster);
  if (spare < 0) return text.meaningNone(majority);
  return spare === 0 ? text.meaningLast : text.meaningWell(majority, cluster.voters);
}
