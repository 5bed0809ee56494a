// The buttons that break replicas: only in a demo, only for owners and admins.

import { useSignal } from "@preact/signals";

import type { Cluster, DemoFault, Replica } from "../generated/frames.ts";
import * as api from "../http/api.ts";
import { words } from "../i18n/language.ts";

const FAULTS: DemoFault[] = ["kill", "pause", "cut_off"];

export function DemoButtons({ cluster }: { cluster: Cluster }) {
  const text = words.value.cluster.demo;
  /** What was pressed once and would leave no majority. */
  const asked = useSignal("");
  const refused = useSignal("");
  const spare = cluster.up - (Math.floor(cluster.voters / 2) + 1);

  const press = async (replica: Replica, fault: DemoFault) => {
    const name = `${replica.node} ${fault}`;
    refused.value = "";
    if (spare < 1 && replica.role !== "unreachable" && asked.value !== name) {
      asked.value = name;
      return;
    }
    asked.value = "";
    try {
      await api.breakReplica(replica.node, fault);
    } catch (error) {
      refused.value = text.refused(error instanceof Error ? error.message : String(error));
    }
  };

  return (
    <section class="demo" data-testid="demo-buttons" aria-label={text.title}>
      <h3>{text.title}</h3>
      <p class="hint">{text.lead}</p>
      {cluster.replicas.map((replica) => (
        <div key={replica.node} class="demo-row" role="group" aria-label={text.of(replica.name)}>
          <span>{replica.name}</span>
          {FAULTS.map((fault) => (
            <button
              key={fault}
              type="button"
              class="button button-small"
              data-testid={`demo-${fault}-${replica.name}`}
              onClick={() => void press(replica, fault)}
            >
              {text.faults[fault]}
            </button>
          ))}
        </div>
      ))}
      <p class="hint" role="status" data-testid="demo-words">
        {asked.value !== "" ? text.sure : refused.value}
      </p>
    </section>
  );
}
