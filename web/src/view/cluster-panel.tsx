// The cluster as this gateway sees it. Read-only, for everybody. The frame; what is in it is loaded
// when it is opened (cluster-contents.tsx).

import { useSignal } from "@preact/signals";
import { lazy, Suspense } from "preact/compat";

import { words } from "../i18n/language.ts";
import type { Workspace } from "../store/workspace.ts";
import { CLUSTER_PANEL_ID } from "./cluster-chip.tsx";
import { CloseIcon } from "./icons.tsx";

const Contents = lazy(async () => ({ default: (await import("./cluster-contents.tsx")).Contents }));

export function ClusterPanel({ workspace }: { workspace: Workspace }) {
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
      {open.value && (
        <Suspense fallback={null}>
          <Contents workspace={workspace} />
        </Suspense>
      )}
    </section>
  );
}
