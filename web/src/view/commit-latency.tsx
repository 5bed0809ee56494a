// How long messages take until they are committed, measured on those that this page sent.

import { language, words } from "../i18n/language.ts";
import type { Workspace } from "../store/workspace.ts";
import { percentile } from "../sync/latency.ts";
import { sparkline } from "./sparkline.ts";

const WIDTH = 240;
const HEIGHT = 40;

export function CommitLatency({ workspace }: { workspace: Workspace }) {
  const text = words.value.cluster.latency;
  // A new figure comes with a message that leaves the outbox.
  workspace.outbox.value;
  const values = workspace.engine.latency.commits_ms;
  const of = (part: number) =>
    `${(percentile(values, part) ?? 0).toLocaleString(language.value, { maximumFractionDigits: 1 })} ms`;
  return (
    <section class="commit-latency" data-testid="commit-latency" data-count={values.length}>
      <h3>{text.title}</h3>
      {values.length === 0 ? (
        <p>{text.none}</p>
      ) : (
        <>
          <p>{text.figures(of(0.5), of(0.99), values.length)}</p>
          {values.length > 1 && (
            <svg
              class="sparkline"
              viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
              preserveAspectRatio="none"
              aria-hidden="true"
            >
              <path d={sparkline(values.slice(-60), WIDTH, HEIGHT)} />
            </svg>
          )}
        </>
      )}
    </section>
  );
}
