// Elections, silences and replacements, newest first: what the room #cluster tells.

import { language, words } from "../i18n/language.ts";
import { showRoom } from "../store/route.ts";
import type { Workspace } from "../store/workspace.ts";
import { CLUSTER_PANEL_ID } from "./cluster-chip.tsx";
import { fullMoment, timeOfDay } from "./dates.ts";
import { noticeText } from "./notice-text.ts";

const SHOWN_MAX = 8;

export function ClusterTimeline({ workspace }: { workspace: Workspace }) {
  const text = words.value.cluster;
  const room = workspace.rooms.value.find((one) => one.is_system);
  if (room === undefined) return null;
  workspace.revision(room.id);
  const notices = room.log.pieces
    .flatMap((piece) => (piece.kind === "loaded" ? piece.events : []))
    .flatMap((event) => (event.kind === "notice" ? [event] : []))
    .slice(-SHOWN_MAX)
    .reverse();
  return (
    <section class="cluster-timeline">
      <h3>{text.timeline}</h3>
      {notices.length === 0 && <p>{words.value.timeline.nothing}</p>}
      <ol data-testid="cluster-timeline">
        {notices.map((event) => (
          <li key={event.seq} data-what={event.notice.what}>
            <time dateTime={new Date(event.ts).toISOString()} title={fullMoment(event.ts)}>
              {timeOfDay(event.ts)}
            </time>
            <span>{noticeText(event.notice, words.value.notices, language.value)}</span>
          </li>
        ))}
      </ol>
      <button
        type="button"
        class="message-more"
        onClick={() => {
          document.getElementById(CLUSTER_PANEL_ID)?.hidePopover();
          showRoom(room.id);
        }}
      >
        {text.allNotices(room.name)}
      </button>
    </section>
  );
}
