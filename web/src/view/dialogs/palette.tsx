// Ctrl+K: rooms, people and commands by a few letters of their name.

import { useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";

import { best } from "../../composer/rank.ts";
import type { RoomSummary } from "../../generated/frames.ts";
import * as api from "../../http/api.ts";
import { choose, language, LANGUAGES, nameOf, words } from "../../i18n/language.ts";
import { panel } from "../../store/panel.ts";
import { people } from "../../store/people.ts";
import { showRoom } from "../../store/route.ts";
import type { Workspace } from "../../store/workspace.ts";
import { CLUSTER_PANEL_ID } from "../cluster-chip.tsx";
import { attempt } from "../message-actions.tsx";
import { markOf } from "../sidebar.tsx";
import type { DialogName } from "../shell.tsx";
import { Dialog } from "./dialog.tsx";

interface PaletteProps {
  workspace: Workspace;
  close(): void;
  ask(dialog: DialogName): void;
}

interface Entry {
  key: string;
  symbol: string;
  name: string;
  /** What it is, or its shortcut. */
  note: string;
  run(): void;
}

const SHOWN_MAX = 12;

export function Palette({ workspace, close, ask }: PaletteProps) {
  const text = words.value.palette;
  const typed = useSignal("");
  const selected = useSignal(0);
  const list_id = useId();
  const others = useSignal<readonly RoomSummary[]>([]);
  useEffect(() => {
    // Without an answer the rooms that one is in are still here, and "Browse rooms" says why.
    void api.rooms().then(
      (rooms) => {
        others.value = rooms;
      },
      () => {},
    );
  }, []);
  const all = [
    ...rooms(workspace),
    ...commands(workspace, ask),
    ...persons(workspace),
    ...toJoin(workspace, others.value),
  ];
  const shown = best(typed.value, all, (entry) => entry.name, SHOWN_MAX);
  const at = Math.min(selected.value, shown.length - 1);

  const run = (entry: Entry | undefined) => {
    if (entry === undefined) return;
    close();
    entry.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      selected.value = (at + step + shown.length) % Math.max(1, shown.length);
      event.preventDefault();
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(shown[at]);
    } else if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      close();
    }
  };

  return (
    <Dialog title={text.title} close={close}>
      <div class="palette" data-testid="palette">
        <input
          class="field"
          role="combobox"
          data-autofocus
          data-testid="palette-field"
          autocomplete="off"
          spellcheck={false}
          aria-label={text.field}
          aria-autocomplete="list"
          aria-expanded={shown.length > 0}
          aria-controls={list_id}
          aria-activedescendant={shown.length === 0 ? undefined : `${list_id}-${at}`}
          placeholder={text.field}
          value={typed.value}
          onInput={(event) => {
            typed.value = event.currentTarget.value;
            selected.value = 0;
          }}
          onKeyDown={onKeyDown}
        />
        <ul id={list_id} role="listbox" aria-label={text.title}>
          {shown.map((entry, index) => (
            <li
              key={entry.key}
              id={`${list_id}-${index}`}
              role="option"
              data-key={entry.key}
              aria-selected={index === at}
              onPointerDown={(event) => event.preventDefault()}
              onClick={() => run(entry)}
            >
              <span class="completion-symbol" aria-hidden="true">
                {entry.symbol}
              </span>
              <span dir="auto">{entry.name}</span>
              <span class="completion-note">{entry.note}</span>
            </li>
          ))}
        </ul>
        {shown.length === 0 && <p class="browse-nothing">{text.none}</p>}
      </div>
    </Dialog>
  );
}

function rooms(workspace: Workspace): Entry[] {
  const text = words.value;
  return workspace.rooms.value.map((room) => ({
    key: `room-${room.id}`,
    symbol: markOf(room),
    name: workspace.nameOf(room),
    note: workspace.isUnread(room) ? text.rooms.unread : text.palette.room,
    run: () => showRoom(room.id),
  }));
}

/** Public rooms that one is not in. */
function toJoin(workspace: Workspace, rooms: readonly RoomSummary[]): Entry[] {
  return rooms
    .filter(({ id }) => !workspace.rooms.value.some((one) => one.id === id))
    .map(({ id, name }) => ({
      key: `join-${id}`,
      symbol: "#",
      name,
      note: words.value.palette.join,
      run: () =>
        void attempt(
          workspace.entered(workspace.engine.joinRoom(id)).then((room) => showRoom(room)),
        ),
    }));
}

/** To the room with that person. */
function persons(workspace: Workspace): Entry[] {
  return [...people.value.values()]
    .filter(({ id }) => id !== workspace.user.id)
    .map(({ id, name }) => ({
      key: `person-${id}`,
      symbol: "@",
      name,
      note: words.value.people.direct.title,
      run: () =>
        void attempt(
          workspace.entered(workspace.engine.openDirect([id])).then((room) => showRoom(room)),
        ),
    }));
}

function commands(workspace: Workspace, ask: (dialog: DialogName) => void): Entry[] {
  const text = words.value;
  const command = (key: string, name: string, run: () => void, note = text.palette.command) => ({
    key,
    symbol: "›",
    name,
    note,
    run,
  });
  return [
    command("new-room", text.rooms.create, () => ask("new-room")),
    command("browse-rooms", text.rooms.browse, () => ask("browse-rooms")),
    command("search", text.panel.search, () => {
      panel.value = { kind: "search" };
    }),
    command("mark-all-read", text.palette.markAllRead, () =>
      workspace.rooms.value.forEach((room) => workspace.markRead(room)),
    ),
    command(
      "cluster",
      text.cluster.open,
      () => document.getElementById(CLUSTER_PANEL_ID)?.showPopover(),
      text.help.keys.cluster,
    ),
    command("help", text.help.title, () => ask("help"), text.help.keys.help),
    ...LANGUAGES.filter((one) => one !== language.value).map((one) =>
      command(`language-${one}`, `${text.languages}: ${nameOf(one)}`, () => choose(one)),
    ),
    command("sign-out", text.signOut.open, () => ask("sign-out")),
  ];
}
