// What can be done with a message: a bar that only the row under the pointer or the focus has, so
// that three hundred rows do not cost two thousand buttons.

import { useSignal } from "@preact/signals";
import { lazy, Suspense } from "preact/compat";
import { useEffect, useRef } from "preact/hooks";

import { words } from "../i18n/language.ts";
import { editing, panel, picking } from "../store/panel.ts";
import { permalink } from "../store/route.ts";
import type { Workspace } from "../store/workspace.ts";
import type { MessageEvent, RoomId } from "../sync/event.ts";
import { RequestFailed } from "../sync/history.ts";
import type { MessageNow } from "../sync/message-now.ts";
import { announce } from "./announcer.tsx";
import { copyToClipboard } from "./clipboard.ts";
import {
  EditIcon,
  HistoryIcon,
  LinkIcon,
  PinIcon,
  ReplyIcon,
  SmileIcon,
  TrashIcon,
} from "./icons.tsx";

const EmojiPicker = lazy(() => import("./emoji-picker.tsx"));

export interface MessageActionsProps {
  workspace: Workspace;
  room: RoomId;
  event: MessageEvent;
  now: MessageNow;
}

/** Says what went wrong to whoever asked. */
export async function attempt(wish: Promise<unknown>): Promise<boolean> {
  try {
    await wish;
    return true;
  } catch (error) {
    announce(error instanceof RequestFailed ? words.value.errors[error.code] : String(error));
    return false;
  }
}

/** The message whose answers are a thread: the one that is answered, or this one. */
export function threadOf(event: MessageEvent): number {
  return event.reply_to ?? event.seq;
}

export function react(
  { workspace, room, event, now }: MessageActionsProps,
  emoji: string,
): Promise<boolean> {
  const mine = now.reactions
    .find((reaction) => reaction.emoji === emoji)
    ?.people.some((person) => person.id === workspace.user.id);
  return attempt(workspace.engine.react(room, event.seq, emoji, mine !== true));
}

export function MessageActions(props: MessageActionsProps) {
  const { workspace, room, event, now } = props;
  const bar = useRef<HTMLDivElement>(null);
  const is_picking = picking.value?.room === room && picking.value.seq === event.seq;
  const asking = useSignal(false);
  const text = words.value.actions;
  const is_own = event.author.id === workspace.user.id;
  const { engine } = workspace;

  // A bar that goes, since the pointer went elsewhere, takes its picker along.
  useEffect(
    () => () => {
      const { room: here, seq } = picking.peek() ?? {};
      if (here === room && seq === event.seq) picking.value = undefined;
    },
    [],
  );
  const stopPicking = () => {
    // Back to the row, so that the keyboard goes on from there.
    const row = bar.current?.closest<HTMLElement>("article");
    if (bar.current?.contains(document.activeElement) === true) row?.focus();
    picking.value = undefined;
  };

  const copyLink = async () => {
    if (await copyToClipboard(permalink(room, event.seq))) announce(words.value.failed.copied);
  };
  return (
    <div
      ref={bar}
      class="message-actions"
      role="toolbar"
      aria-label={text.label}
      data-testid="actions"
    >
      {!now.deleted && (
        <Action
          name="react"
          label={text.react}
          pressed={is_picking}
          onClick={() => {
            if (is_picking) stopPicking();
            else picking.value = { room, seq: event.seq };
          }}
        >
          <SmileIcon />
        </Action>
      )}
      <Action
        name="reply"
        label={text.reply}
        onClick={() => {
          panel.value = { kind: "thread", room, seq: threadOf(event) };
        }}
      >
        <ReplyIcon />
      </Action>
      {!now.deleted && (
        <Action
          name="pin"
          label={now.pinned ? text.unpin : text.pin}
          pressed={now.pinned}
          onClick={() => void attempt(engine.pin(room, event.seq, !now.pinned))}
        >
          <PinIcon />
        </Action>
      )}
      <Action name="link" label={text.link} onClick={() => void copyLink()}>
        <LinkIcon />
      </Action>
      {now.edited !== undefined && (
        <Action
          name="versions"
          label={text.versions}
          onClick={() => {
            panel.value = { kind: "versions", room, seq: event.seq };
          }}
        >
          <HistoryIcon />
        </Action>
      )}
      {is_own && !now.deleted && (
        <Action
          name="edit"
          label={text.edit}
          onClick={() => {
            editing.value = { room, seq: event.seq };
          }}
        >
          <EditIcon />
        </Action>
      )}
      {(is_own || workspace.may_moderate) && !now.deleted && !asking.value && (
        <Action
          name="delete"
          label={is_own ? text.delete : text.takeAway}
          onClick={() => {
            asking.value = true;
          }}
        >
          <TrashIcon />
        </Action>
      )}
      {asking.value && (
        <button
          type="button"
          class="button button-small button-danger"
          data-testid="action-delete-really"
          onClick={() =>
            void attempt(
              is_own ? engine.deleteMessage(room, event.seq) : engine.takeAway(room, event.seq),
            )
          }
        >
          {is_own ? text.deleteReally : text.takeAwayReally}
        </button>
      )}
      {is_picking && (
        <Suspense fallback={null}>
          <EmojiPicker
            pick={(emoji) => {
              stopPicking();
              void react(props, emoji);
            }}
            cancel={stopPicking}
          />
        </Suspense>
      )}
    </div>
  );
}

interface ActionProps {
  name: string;
  label: string;
  pressed?: boolean;
  onClick(): void;
  children: preact.ComponentChildren;
}

function Action({ name, label, pressed, onClick, children }: ActionProps) {
  return (
    <button
      type="button"
      class="button-icon"
      data-testid={`action-${name}`}
      aria-label={label}
      aria-pressed={pressed}
      title={label}
      onClick={onClick}
    >
      {children}
    </button>
  );
}
