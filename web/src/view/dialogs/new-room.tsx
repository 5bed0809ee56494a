import { useRef } from "preact/hooks";

import { words } from "../../i18n/language.ts";
import { showRoom } from "../../store/route.ts";
import type { Workspace } from "../../store/workspace.ts";
import { Dialog } from "./dialog.tsx";
import { useWish } from "./wish.ts";

export function NewRoom({ workspace, close }: { workspace: Workspace; close(): void }) {
  const text = words.value.newRoom;
  const field = useRef<HTMLInputElement>(null);
  const is_private = useRef<HTMLInputElement>(null);
  const { busy, failure, make } = useWish(text.refused);

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const name = (field.current?.value ?? "").trim();
    if (name === "") return;
    void make(
      () => workspace.entered(workspace.engine.createRoom(name, is_private.current?.checked)),
      (room) => {
        showRoom(room);
        close();
      },
    );
  };

  return (
    <Dialog title={text.title} close={close}>
      <form onSubmit={submit}>
        <label for="room-name">{text.name}</label>
        <div class="field-group">
          <span class="hash" aria-hidden="true">
            #
          </span>
          <input
            id="room-name"
            ref={field}
            class="field"
            data-testid="new-room-name"
            data-autofocus
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            required
            maxLength={64}
            aria-describedby="room-name-hint"
            aria-invalid={failure.value !== undefined}
            onInput={(event) => {
              // Names have no white space; a hyphen is what people mean by it.
              event.currentTarget.value = event.currentTarget.value.replace(/\s/gu, "-");
            }}
          />
        </div>
        <p id="room-name-hint" class={failure.value === undefined ? "hint" : "hint hint-error"}>
          {failure.value ?? text.hint}
        </p>
        <label class="check">
          <input ref={is_private} type="checkbox" data-testid="new-room-private" />
          {words.value.people.room.private}
        </label>
        <p class="hint">{words.value.people.room.privateHint}</p>
        <div class="dialog-actions">
          <button type="button" class="button" onClick={close}>
            {words.value.cancel}
          </button>
          <button
            type="submit"
            class="button button-primary"
            data-testid="new-room-submit"
            aria-disabled={busy.value}
          >
            {busy.value ? text.busy : text.submit}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
