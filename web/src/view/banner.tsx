// One thing at a time about the connection and the cluster, in words.

import { useEffect } from "preact/hooks";

import { words } from "../i18n/language.ts";
import type { Banner as BannerState } from "../store/workspace.ts";
import { announce } from "./announcer.tsx";
import { CheckIcon, RetryIcon, WarningIcon } from "./icons.tsx";

export function Banner({ banner }: { banner: BannerState | undefined }) {
  const text = banner === undefined ? "" : sentence(banner);
  // Once per kind: a count that ticks along would drown everything else.
  useEffect(() => {
    if (text !== "") announce(text);
  }, [banner?.kind]);
  if (banner === undefined) return null;
  return (
    <div class={`banner banner-${banner.kind}`} data-testid="banner" data-kind={banner.kind}>
      {banner.kind === "back" ? (
        <CheckIcon />
      ) : banner.kind === "reconnecting" ? (
        <RetryIcon />
      ) : (
        <WarningIcon />
      )}
      <span>{text}</span>
      {banner.kind === "stopped" && (
        <button type="button" class="button button-small" onClick={() => location.reload()}>
          {words.value.banner.reload}
        </button>
      )}
    </div>
  );
}

function sentence(banner: BannerState): string {
  const text = words.value.banner;
  switch (banner.kind) {
    case "stopped":
      return text.stopped(banner.reason);
    case "reconnecting":
      return text.reconnecting;
    case "back":
      return text.back(banner.missed);
    case "no-quorum": {
      const { cluster, waiting } = banner;
      const down = cluster === undefined ? 0 : cluster.voters - cluster.up;
      const what =
        cluster === undefined || down === 0 ? text.noAnswer : text.noQuorum(down, cluster.voters);
      return `${what} ${text.waiting(waiting)}`;
    }
  }
}
