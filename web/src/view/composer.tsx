// Where one writes. Never disabled: without a connection the message waits in the outbox.

import { useSignal } from "@preact/signals";
import { lazy, Suspense } from "preact/compat";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import { words } from "../i18n/language.ts";
import type { Workspace } from "../store/workspace.ts";
import type { RoomSync } from "../sync/room-sync.ts";
import { announce } from "./announcer.tsx";
import { CompletionList, completionAttributes, useCompletion } from "./completion.tsx";
import { SendIcon } from "./icons.tsx";

const TypingLine = lazy(async () => ({ default: (await import("./ephemera.tsx")).TypingLine }));

/** The frame around a body: names of fields, a cid, a room. */
const FRAME_OVERHEAD_BYTES = 512;

interface ComposerProps {
  workspace: Workspace;
  room: RoomSync;
  toLatest(): void;
}

export function Composer({ workspace, room, toLatest }: ComposerProps) {
  const { engine, memory } = workspace;
  const text = words.value.composer;
  const field = useRef<HTMLTextAreaElement>(null);
  const draft = useSignal(memory.draft(room.id));
  const failure = useSignal<string | undefined>(undefined);

  const setDraft = (value: string) => {
    failure.value = undefined;
    draft.value = value;
    memory.setDraft(room.id, value);
  };

  const completion = useCompletion({ field, workspace, room, write: setDraft });

  useLayoutEffect(() => fitHeight(field.current), [draft.value]);
  useEffect(() => {
    // Another width breaks the lines elsewhere.
    const listener = () => fitHeight(field.current);
    addEventListener("resize", listener);
    return () => removeEventListener("resize", listener);
  }, []);
  useEffect(() => {
    // On a phone the keyboard would cover the room that was just opened.
    if (matchMedia("(hover: hover)").matches) field.current?.focus();
  }, []);

  const send = async () => {
    // The first line may be indented code; only empty lines around the text go.
    const body = draft.value.replace(/^(?:[^\S\n]*\n)+/, "").trimEnd();
    if (body.trim() === "") return;
    const bytes = new TextEncoder().encode(body).length;
    const frame_bytes =
      new TextEncoder().encode(JSON.stringify(body)).length + FRAME_OVERHEAD_BYTES;
    if (bytes > engine.max_message || frame_bytes > engine.max_frame) {
      failure.value = text.tooLong(bytes, engine.max_message);
      announce(failure.value);
      return;
    }
    failure.value = undefined;
    draft.value = "";
    completion.close();
    workspace.ephemera.peek()?.sent(room.id);
    try {
      await engine.send(room.id, body);
      // Only now: had the page died in between, the words would still be in the draft.
      memory.setDraft(room.id, draft.value);
      toLatest();
    } catch {
      draft.value = draft.value === "" ? body : `${body}\n${draft.value}`;
      failure.value = text.notStored;
      announce(failure.value);
    }
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (completion.onKeyDown(event)) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    // While an input method composes, Enter belongs to it (229: Safari ends composing too early).
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229)
      return;
    event.preventDefault();
    void send();
  };

  return (
    <form
      class="composer"
      data-region="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
        field.current?.focus();
      }}
    >
      {failure.value !== undefined && <p class="hint hint-error">{failure.value}</p>}
      <Suspense fallback={null}>
        <TypingLine workspace={workspace} room={room} />
      </Suspense>
      <CompletionList completion={completion} />
      <div class="composer-box">
        <textarea
          ref={field}
          rows={1}
          data-testid="composer"
          aria-label={text.label(workspace.nameOf(room))}
          placeholder={text.placeholder(workspace.titleOf(room))}
          value={draft.value}
          dir="auto"
          {...completionAttributes(completion)}
          onInput={(event) => {
            setDraft(event.currentTarget.value);
            if (draft.value !== "") workspace.ephemera.peek()?.typed(room.id);
            completion.look();
          }}
          onKeyDown={onKeyDown}
          onClick={completion.look}
          onBlur={completion.close}
        />
        <button
          type="submit"
          class="composer-send"
          data-testid="send"
          aria-label={text.send}
          title={text.send}
          data-empty={draft.value.trim() === ""}
        >
          <SendIcon />
        </button>
      </div>
      <p class="composer-hint">{text.hint}</p>
    </form>
  );
}

function fitHeight(field: HTMLTextAreaElement | null): void {
  if (field === null) return;
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}
