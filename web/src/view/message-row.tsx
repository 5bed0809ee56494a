// One message, or a quiet line about who came and went.

import type { ComponentChildren } from "preact";

import { language, words } from "../i18n/language.ts";
import type { Author, Me } from "../generated/frames.ts";
import type { Outbox, OutboxEntry } from "../outbox/outbox.ts";
import { editing } from "../store/panel.ts";
import type { Workspace } from "../store/workspace.ts";
import { xrayed } from "../store/xray.ts";
import type { MessageEvent, RoomEvent } from "../sync/event.ts";
import { announce } from "./announcer.tsx";
import { Avatar } from "./avatar.tsx";
import { copyToClipboard } from "./clipboard.ts";
import { fullMoment, timeOfDay } from "./dates.ts";
import type { MessageNow } from "../sync/message-now.ts";
import type { RoomSync } from "../sync/room-sync.ts";
import { MessageActions } from "./message-actions.tsx";
import { EditBox, Edited, Extras, Quote } from "./message-extras.tsx";
import { Body } from "./message-body.tsx";
import { noticeText } from "./notice-text.ts";
import { type MessageState, StateMark } from "./state-mark.tsx";

interface StoredMessageProps {
  workspace: Workspace;
  room: RoomSync;
  row_key: string;
  event: MessageEvent;
  /** The message as it is now. */
  now: MessageNow;
  /** Under the pointer or the focus: has a bar of actions. */
  is_active: boolean;
  /** It was jumped to. */
  is_target: boolean;
  is_own: boolean;
  grouped: boolean;
  has_state: boolean;
  is_tab_stop: boolean;
}

/**
 * A message of the sequence. Called by its row like [`pendingMessage`] and no component of its
 * own: when a pending message is committed, its element stays, and with it the focus.
 */
export function storedMessage({
  workspace,
  room,
  row_key,
  event,
  now,
  is_active,
  is_target,
  is_own,
  grouped,
  has_state,
  is_tab_stop,
}: StoredMessageProps) {
  return (
    <Message
      row_key={row_key}
      event={event}
      author={event.author}
      body={now.body}
      ts={event.ts}
      state="applied"
      is_own={is_own}
      grouped={grouped}
      has_state={has_state}
      is_tab_stop={is_tab_stop}
      cid={event.cid}
      seq={event.seq}
      is_deleted={now.deleted}
      is_taken_away={now.taken_away}
      is_target={is_target}
      before={<Quote workspace={workspace} room={room} event={event} />}
      text={
        editing.value?.room === room.id && editing.value.seq === event.seq ? (
          <EditBox workspace={workspace} room={room.id} event={event} now={now} />
        ) : undefined
      }
      behind={<Edited now={now} />}
    >
      <Extras workspace={workspace} room={room.id} event={event} now={now} />
      {is_active && (
        <MessageActions workspace={workspace} room={room.id} event={event} now={now} />
      )}
    </Message>
  );
}

interface PendingMessageProps {
  row_key: string;
  entry: OutboxEntry;
  user: Me;
  grouped: boolean;
  outbox: Outbox;
  is_tab_stop: boolean;
}

/** A message of the outbox; see [`storedMessage`]. */
export function pendingMessage({
  row_key,
  entry,
  user,
  grouped,
  outbox,
  is_tab_stop,
}: PendingMessageProps) {
  const { stored, progress } = entry;
  const text = words.value.failed;
  return (
    <Message
      row_key={row_key}
      author={user}
      body={stored.body}
      ts={stored.written_ms}
      state={progress}
      is_own
      grouped={grouped}
      has_state
      is_tab_stop={is_tab_stop}
      cid={stored.cid}
    >
      {stored.failure !== undefined && (
        <p class="message-failure">
          <span>{`${words.value.states.failed}: ${words.value.errors[stored.failure.code]}`}</span>
          <button
            type="button"
            class="button button-small"
            data-testid="retry"
            onClick={() => void outbox.retry(stored.cid)}
          >
            {text.retry}
          </button>
          <button
            type="button"
            class="button button-small"
            data-testid="copy"
            onClick={() => void copy(stored.body)}
          >
            {text.copy}
          </button>
          <button
            type="button"
            class="button button-small"
            data-testid="dismiss"
            onClick={() => outbox.dismiss(stored.cid)}
          >
            {text.dismiss}
          </button>
        </p>
      )}
    </Message>
  );
}

interface MessageProps {
  row_key: string;
  author: Author;
  body: string;
  ts: number;
  state: MessageState;
  is_own: boolean;
  grouped: boolean;
  has_state: boolean;
  is_tab_stop: boolean;
  cid: string;
  seq?: number;
  is_deleted?: boolean;
  /** By a moderator. */
  is_taken_away?: boolean;
  is_target?: boolean;
  /** Above the text. */
  before?: ComponentChildren;
  /** In the place of the text. */
  text?: ComponentChildren;
  /** After the text, in its line. */
  behind?: ComponentChildren;
  /** Once it stands in the sequence. */
  event?: MessageEvent;
  children?: ComponentChildren;
}

function Message(props: MessageProps) {
  const {
    row_key,
    author,
    body,
    ts,
    state,
    is_own,
    grouped,
    has_state,
    is_tab_stop,
    cid,
    seq,
    is_deleted = false,
    is_taken_away = false,
    is_target = false,
    before,
    text,
    behind,
    event,
    children,
  } = props;
  const { deleted, takenAway } = words.value.actions;
  const shown = is_taken_away ? takenAway : is_deleted ? deleted : body;
  const time = timeOfDay(ts);
  const stated = has_state ? `, ${words.value.states[state]}` : "";
  return (
    <article
      class={`message${grouped ? " message-grouped" : ""}${is_target ? " message-target" : ""} message-${state}`}
      data-testid="message"
      data-anchor
      data-key={row_key}
      data-seq={seq}
      data-cid={cid}
      data-state={state}
      data-own={is_own}
      tabIndex={is_tab_stop ? 0 : -1}
      data-deleted={is_deleted}
      aria-label={`${author.name}, ${shown}, ${time}${stated}`}
    >
      <div class="message-side">
        {grouped ? (
          <Moment ts={ts} event={event} />
        ) : (
          <Avatar id={author.id} name={author.name} />
        )}
      </div>
      <div class="message-main">
        {!grouped && (
          <header>
            <span class="message-author" dir="auto">
              {author.name}
            </span>
            <Moment ts={ts} event={event} />
          </header>
        )}
        {before}
        <div class="message-line">
          {text ??
            (is_deleted ? (
              <p class="message-body message-tombstone">{shown}</p>
            ) : (
              <Body text={body} />
            ))}
          {text === undefined && behind}
          {has_state && <StateMark state={state} />}
        </div>
        {children}
      </div>
    </article>
  );
}

/** When it was written; a click looks behind the message (X by keyboard). */
function Moment({ ts, event }: { ts: number; event: MessageEvent | undefined }) {
  const time = (
    <time dateTime={new Date(ts).toISOString()} title={fullMoment(ts)}>
      {timeOfDay(ts)}
    </time>
  );
  if (event === undefined) return time;
  return (
    <button
      type="button"
      class="message-moment"
      data-testid="open-xray"
      // The message is the tab stop; X does this.
      tabIndex={-1}
      aria-label={`${timeOfDay(ts)}, ${words.value.xray.open}`}
      onClick={() => {
        xrayed.value = event;
      }}
    >
      {time}
    </button>
  );
}

export function NoticeRow({ event }: { event: Exclude<RoomEvent, MessageEvent> }) {
  return (
    <p
      class="notice"
      data-anchor
      data-testid="notice"
      data-seq={event.seq}
      data-what={event.kind === "notice" ? event.notice.what : event.kind}
    >
      {lineOf(event)}
      <time dateTime={new Date(event.ts).toISOString()}>{timeOfDay(event.ts)}</time>
    </p>
  );
}

function lineOf(event: Exclude<RoomEvent, MessageEvent>): string {
  const text = words.value.timeline;
  const { name } = event.author;
  switch (event.kind) {
    case "created":
      return text.created(name);
    case "joined":
      return text.joined(name);
    case "left":
      return text.left(name);
    case "pinned":
      return text.pinned(name);
    case "edited":
    case "deleted":
    case "reaction_added":
    case "reaction_removed":
    case "unpinned":
      // Seen at their message.
      return "";
    case "added":
      return words.value.people.room.added(name);
    case "removed":
      return words.value.people.room.removed(name);
    case "renamed":
      return words.value.people.room.renamed(name, event.name);
    case "topic":
      return words.value.people.room.topicSet(name, event.topic);
    case "archived":
      return words.value.people.room.archived(name);
    case "restored":
      return words.value.people.room.restored(name);
    case "notice":
      return noticeText(event.notice, words.value.notices, language.value);
  }
}

async function copy(text: string): Promise<void> {
  if (await copyToClipboard(text)) announce(words.value.failed.copied);
}
