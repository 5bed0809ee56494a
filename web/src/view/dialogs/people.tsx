// Choosing people: one for a room, or some for a direct room.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import type { PersonEntry, UserId } from "../../generated/frames.ts";
import { words } from "../../i18n/language.ts";
import { showRoom } from "../../store/route.ts";
import type { Workspace } from "../../store/workspace.ts";
import { Avatar } from "../avatar.tsx";
import { PresenceDot } from "../ephemera.tsx";
import { Dialog } from "./dialog.tsx";
import { useWish } from "./wish.ts";

const SHOWN_MAX = 100;
/** With oneself, as the state machine has it. */
const DIRECT_PEOPLE_MAX = 8;

interface ChoosePersonProps {
  workspace: Workspace;
  /** Who cannot be chosen. */
  without: readonly UserId[];
  choose(person: PersonEntry): void;
}

export function ChoosePerson({ workspace, without, choose }: ChoosePersonProps) {
  const text = words.value.people.room;
  const query = useSignal("");
  useEffect(() => void workspace.askPeople(), []);
  const wanted = query.value.trim().toLocaleLowerCase();
  const shown = workspace.people.value
    .filter((one) => one.active && !without.includes(one.id))
    .filter((one) => one.name.toLocaleLowerCase().includes(wanted))
    .slice(0, SHOWN_MAX);
  return (
    <div class="field-row">
      <input
        class="field"
        type="search"
        data-testid="find-person"
        data-autofocus
        aria-label={text.find}
        placeholder={text.find}
        value={query.value}
        onInput={(event) => {
          query.value = event.currentTarget.value;
        }}
      />
      <ul class="people-list">
        {shown.map((person) => (
          <li key={person.id}>
            <button
              type="button"
              class="people-button"
              data-testid="choose-person"
              data-person={person.name}
              onClick={() => choose(person)}
            >
              <Avatar id={person.id} name={person.name} colour={person.colour} />
              <span class="people-name">{person.name}</span>
              <PresenceDot workspace={workspace} id={person.id} />
            </button>
          </li>
        ))}
      </ul>
      {shown.length === 0 && <p class="browse-nothing">{text.nobody}</p>}
    </div>
  );
}

export function NewDirect({ workspace, close }: { workspace: Workspace; close(): void }) {
  const text = words.value.people.direct;
  const chosen = useSignal<readonly PersonEntry[]>([]);
  const { busy, failure, make } = useWish();
  const open = () =>
    make(
      () => workspace.entered(workspace.engine.openDirect(chosen.value.map((one) => one.id))),
      (room) => {
        showRoom(room);
        close();
      },
    );
  return (
    <Dialog title={text.title} close={close}>
      {chosen.value.length > 0 && (
        <ul class="chips" aria-label={text.chosen}>
          {chosen.value.map((person) => (
            <li key={person.id}>
              <button
                type="button"
                class="chip"
                aria-label={text.without(person.name)}
                onClick={() => {
                  chosen.value = chosen.value.filter((one) => one.id !== person.id);
                }}
              >
                {person.name} ×
              </button>
            </li>
          ))}
        </ul>
      )}
      {chosen.value.length < DIRECT_PEOPLE_MAX - 1 && (
        <ChoosePerson
          workspace={workspace}
          without={[workspace.user.id, ...chosen.value.map((one) => one.id)]}
          choose={(person) => {
            chosen.value = [...chosen.value, person];
          }}
        />
      )}
      <p class="hint hint-error" hidden={failure.value === undefined}>
        {failure.value}
      </p>
      <div class="dialog-actions">
        <button type="button" class="button" onClick={close}>
          {words.value.cancel}
        </button>
        <button
          type="button"
          class="button button-primary"
          data-testid="open-direct"
          disabled={chosen.value.length === 0}
          aria-disabled={busy.value}
          onClick={() => void open()}
        >
          {text.open}
        </button>
      </div>
    </Dialog>
  );
}
