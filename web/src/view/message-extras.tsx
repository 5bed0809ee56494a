// What stands around the text of a message: what it answers, who reacted, its thread, its edit.

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

import { words } from "../i18n/language.ts";
import { editing, panel } from "../store/panel.ts";
import { showMessage } from "../store/route.ts";
import type { Workspace } from "../store/workspace.ts";
import type { MessageEvent, RoomId } from "../sync/event.ts";
import type { MessageNow } from "../sync/message-now.ts";
import type { RoomSync } from "../sync/room-sync.ts";
import { changesOf, messageNow } from "../sync/message-now.ts";
import { fullMoment } from "./dates.ts";
import { attempt, type MessageActionsProps, react } from "./message-actions.tsx";

/** The message that this one answers, in one line. */
export function Quote({
  workspace,
  room,
  event,
}: {
  workspace: Workspace;
  room: RoomSync;
  event: MessageEvent;
}) {
  workspace.revision(room.id);
  const of = event.reply_to;
  if (of === undefined) return null;
  const answered = room.log.find(of);
  const text = words.value.actions;
  const said =
    answered?.kind === "message"
      ? messageNow(answered, changesOf(room.log.pieces))
      : undefined;
  return (
    <button
      type="button"
      class="message-quote"
      data-testid="quote"
      onClick={() => showMessage(room.id, of)}
    >
      {answered?.kind === "message" && said !== undefined ? (
        <>
          <b>{answered.author.name}</b> {said.deleted ? text.deleted : firstLine(said.body)}
        </>
      ) : (
        text.answers
      )}
    </button>
  );
}

function firstLine(body: string): string {
  const line = body.trim().split("\n", 1)[0] ?? "";
  return line.length > 120 ? `${line.slice(0, 120)}…` : line;
}

export function Edited({ now }: { now: MessageNow }) {
  if (now.edited === undefined) return null;
  return (
    <span class="message-edited" title={fullMoment(now.edited.ts)} data-testid="edited">
      {words.value.actions.edited}
    </span>
  );
}

export function Extras(props: MessageActionsProps) {
  const { workspace, room, event, now } = props;
  const text = words.value.actions;
  if (now.reactions.length === 0 && now.replies === 0 && !now.pinned) return null;
  return (
    <div class="message-extras">
      {now.pinned && <span class="message-pinned">{text.pinned}</span>}
      {now.reactions.map(({ emoji, people }) => {
        const is_mine = people.some((person) => person.id === workspace.user.id);
        const names = people.map((person) => person.name).join(", ");
        return (
          <button
            key={emoji}
            type="button"
            class={is_mine ? "reaction reaction-mine" : "reaction"}
            data-testid="reaction"
            data-emoji={emoji}
            aria-pressed={is_mine}
            aria-label={text.reactionOf(`${emoji} ${people.length}`, names)}
            title={names}
            onClick={() => void react(props, emoji)}
          >
            {emoji} <span>{people.length}</span>
          </button>
        );
      })}
      {now.replies > 0 && (
        <button
          type="button"
          class="thread-link"
          data-testid="thread-link"
          onClick={() => {
            panel.value = { kind: "thread", room, seq: event.seq };
          }}
        >
          {text.replies(now.replies)}
        </button>
      )}
    </div>
  );
}

interface EditBoxProps {
  workspace: Workspace;
  room: RoomId;
  event: MessageEvent;
  now: MessageNow;
}

/** The text of an own message, to be changed in its place. Enter stores, Esc leaves. */
export function EditBox({ workspace, room, event, now }: EditBoxProps) {
  const field = useRef<HTMLTextAreaElement>(null);
  const body = useSignal(now.body);
  const text = words.value.actions;
  useLayoutEffect(() => {
    const element = field.current;
    element?.focus();
    element?.setSelectionRange(element.value.length, element.value.length);
  }, []);
  const close = () => {
    const box = field.current?.closest(".edit-box");
    // Back to the row, so that the keyboard goes on from there; but whoever has gone elsewhere
    // while the answer was on its way stays there.
    const row = box?.closest<HTMLElement>("article");
    if (box?.contains(document.activeElement) === true) row?.focus();
    editing.value = undefined;
  };
  const store = async () => {
    const wanted = body.value.trimEnd();
    if (wanted.trim() === "") return;
    if (wanted === now.body || (await attempt(workspace.engine.edit(room, event.seq, wanted))))
      close();
  };
  return (
    <div class="edit-box">
      <textarea
        ref={field}
        rows={Math.min(12, body.value.split("\n").length)}
        data-testid="edit-field"
        aria-label={text.edit}
        value={body.value}
        onInput={(input) => {
          body.value = input.currentTarget.value;
        }}
        onKeyDown={(key) => {
          key.stopPropagation();
          if (key.key === "Escape" && !key.isComposing) close();
          if (key.key !== "Enter" || key.shiftKey || key.isComposing || key.keyCode === 229) return;
          key.preventDefault();
          void store();
        }}
      />
      <p>
        <button type="button" class="button button-small button-primary" onClick={() => void store()}>
          {text.save}
        </button>
        <button type="button" class="button button-small" onClick={close}>
          {words.value.cancel}
        </button>
      </p>
    </div>
  );
}
