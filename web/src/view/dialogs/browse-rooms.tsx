import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import type { RoomSummary } from "../../generated/frames.ts";
import * as api from "../../http/api.ts";
import { words } from "../../i18n/language.ts";
import { showRoom } from "../../store/route.ts";
import type { Workspace } from "../../store/workspace.ts";
import { Dialog } from "./dialog.tsx";
import { useWish } from "./wish.ts";

/** More than this is found by typing, not by scrolling. */
const SHOWN_MAX = 200;

export function BrowseRooms({ workspace, close }: { workspace: Workspace; close(): void }) {
  const text = words.value.browse;
  const found = useSignal<readonly RoomSummary[] | undefined>(undefined);
  const query = useSignal("");
  const loading = useWish();
  const { failure, make } = useWish();

  useEffect(() => {
    void loading.make(api.rooms, (rooms) => {
      found.value = rooms;
    });
  }, []);

  const open = (room: RoomSummary) => {
    showRoom(room.id);
    close();
  };
  const join = (room: RoomSummary) =>
    make(
      () => workspace.entered(workspace.engine.joinRoom(room.id)),
      () => open(room),
    );

  const wanted = query.value.trim().toLocaleLowerCase();
  const shown = (found.value ?? [])
    .filter((room) => room.name.toLocaleLowerCase().includes(wanted))
    .slice(0, SHOWN_MAX);
  const is_in = (room: RoomSummary) => workspace.rooms.value.some((one) => one.id === room.id);

  return (
    <Dialog title={text.title} close={close}>
      <input
        class="field"
        type="search"
        data-testid="find-room"
        data-autofocus
        aria-label={text.find}
        placeholder={text.find}
        value={query.value}
        onInput={(event) => {
          query.value = event.currentTarget.value;
        }}
      />
      <p class="hint hint-error" hidden={(failure.value ?? loading.failure.value) === undefined}>
        {failure.value ?? loading.failure.value}
      </p>
      <ul class="browse-list">
        {shown.map((room) => (
          <li key={room.id}>
            <span class="browse-name">
              <span class="hash" aria-hidden="true">
                #
              </span>
              {room.name}
              <span class="browse-members">{words.value.rooms.members(room.members)}</span>
            </span>
            {is_in(room) ? (
              <button
                type="button"
                class="button button-small"
                aria-label={text.openRoom(room.name)}
                onClick={() => open(room)}
              >
                {text.open}
              </button>
            ) : (
              <button
                type="button"
                class="button button-small button-primary"
                data-testid="join-room"
                data-room-name={room.name}
                aria-label={text.joinRoom(room.name)}
                onClick={() => void join(room)}
              >
                {text.join}
              </button>
            )}
          </li>
        ))}
      </ul>
      {shown.length === 0 && (
        <p class="browse-nothing">
          {loading.busy.value ? text.loading : loading.failure.value === undefined && text.none}
        </p>
      )}
    </Dialog>
  );
}
