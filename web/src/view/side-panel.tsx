// The right panel: a thread, the pinned messages of a room, the versions of a message, search.

import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import * as api from "../http/api.ts";
import { words } from "../i18n/language.ts";
import { type Panel, panel } from "../store/panel.ts";
import { showMessage } from "../store/route.ts";
import type { Workspace } from "../store/workspace.ts";
import type { MessageEvent, RoomEvent, Seq } from "../sync/event.ts";
import { changesOf, messageNow } from "../sync/message-now.ts";
import type { RoomSync } from "../sync/room-sync.ts";
import { Avatar } from "./avatar.tsx";
import { fullMoment, timeOfDay } from "./dates.ts";
import { CloseIcon } from "./icons.tsx";
import { Edited, Extras } from "./message-extras.tsx";
import { Body } from "./message-body.tsx";
import { Search } from "./search-panel.tsx";

interface PanelProps {
  workspace: Workspace;
  shown: Panel;
  /** The room that it belongs to; search belongs to none. */
  room: RoomSync | undefined;
}

export function SidePanel({ workspace, shown, room }: PanelProps) {
  const text = words.value.panel;
  const close = () => {
    panel.value = undefined;
  };
  return (
    <aside
      class="side-panel"
      data-region="panel"
      data-testid="side-panel"
      data-kind={shown.kind}
      aria-label={text[shown.kind]}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        // Otherwise it would mark the room as read as well (room-pane.tsx).
        event.preventDefault();
        close();
      }}
    >
      <header>
        <h2>{text[shown.kind]}</h2>
        <button
          type="button"
          class="button-icon"
          data-testid="close-panel"
          aria-label={words.value.close}
          onClick={close}
        >
          <CloseIcon />
        </button>
      </header>
      {shown.kind === "search" && <Search workspace={workspace} />}
      {shown.kind === "thread" && room !== undefined && (
        <Thread key={shown.seq} workspace={workspace} room={room} root={shown.seq} />
      )}
      {shown.kind === "pins" && room !== undefined && <Pins workspace={workspace} room={room} />}
      {shown.kind === "versions" && room !== undefined && (
        <Versions key={shown.seq} workspace={workspace} room={room} seq={shown.seq} />
      )}
    </aside>
  );
}

/** Asks for a list of events, again when `when` changes. */
function useEvents(
  ask: () => Promise<readonly RoomEvent[]>,
  when: unknown,
): { events: readonly RoomEvent[] | undefined; has_failed: boolean } {
  const events = useSignal<readonly RoomEvent[] | undefined>(undefined);
  const has_failed = useSignal(false);
  useEffect(() => {
    let is_current = true;
    ask().then(
      (found) => {
        if (is_current) events.value = found;
      },
      () => {
        if (is_current) has_failed.value = true;
      },
    );
    return () => {
      is_current = false;
    };
  }, [when]);
  return { events: events.value, has_failed: has_failed.value };
}

function Thread({ workspace, room, root }: { workspace: Workspace; room: RoomSync; root: Seq }) {
  workspace.revision(room.id);
  const { engine } = workspace;
  const { events, has_failed } = useEvents(async () => {
    // With the message itself in its place, and what surrounds it.
    await room.loadAround(root);
    const found: RoomEvent[] = [];
    for (let more = true; more; ) {
      const after = found.at(-1)?.seq ?? 0;
      const page = await api.replies(room.id, root, after, engine.seen_slot);
      found.push(...page.events);
      more = page.more && page.events.length > 0;
    }
    return found;
  }, root);
  const changes = changesOf(room.log.pieces);
  const known = new Map((events ?? []).map((event) => [event.seq, event]));
  for (const event of changes.get(root) ?? []) {
    if (event.kind === "message") known.set(event.seq, room.log.find(event.seq) ?? event);
  }
  const answers = [...known.values()]
    .filter((event): event is MessageEvent => event.kind === "message")
    .sort((a, b) => a.seq - b.seq);
  const first = room.log.find(root);
  const waiting = workspace.outbox.value.filter(
    ({ stored, seq }) =>
      stored.room === room.id && stored.reply_to === root && !known.has(seq ?? 0),
  );
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = list.current;
    if (element !== null) element.scrollTop = element.scrollHeight;
  }, [answers.length, waiting.length]);
  return (
    <>
      <div ref={list} class="panel-list" tabIndex={0} data-testid="thread">
        {first?.kind === "message" && (
          <PanelMessage workspace={workspace} room={room} event={first} />
        )}
        <p class="panel-note">
          {has_failed
            ? words.value.errors.internal
            : events === undefined
              ? words.value.timeline.loading
              : words.value.actions.replies(answers.length)}
        </p>
        {answers.map((event) => (
          <PanelMessage key={event.seq} workspace={workspace} room={room} event={event} />
        ))}
        {waiting.map(({ stored, progress }) => (
          <p key={stored.cid} class="panel-waiting">
            {stored.body} <small>({words.value.states[progress]})</small>
          </p>
        ))}
      </div>
      {!room.is_system && <ReplyBox workspace={workspace} room={room} root={root} />}
    </>
  );
}

function ReplyBox({ workspace, room, root }: { workspace: Workspace; room: RoomSync; root: Seq }) {
  const body = useSignal("");
  const failure = useSignal<string | undefined>(undefined);
  const field = useRef<HTMLTextAreaElement>(null);
  const text = words.value;
  // Before it is seen: whoever sees the field types into it.
  useLayoutEffect(() => field.current?.focus(), []);
  const send = async () => {
    const wanted = body.value.trimEnd();
    const bytes = new TextEncoder().encode(wanted).length;
    if (wanted.trim() === "") return;
    if (bytes > workspace.engine.max_message) {
      failure.value = text.composer.tooLong(bytes, workspace.engine.max_message);
      return;
    }
    try {
      body.value = "";
      await workspace.engine.send(room.id, wanted, root);
    } catch {
      body.value = wanted;
      failure.value = text.composer.notStored;
    }
  };
  return (
    <form
      class="panel-reply"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      {failure.value !== undefined && <p class="hint hint-error">{failure.value}</p>}
      <textarea
        ref={field}
        rows={2}
        data-testid="reply-field"
        aria-label={text.panel.reply}
        placeholder={text.panel.reply}
        value={body.value}
        onInput={(event) => {
          failure.value = undefined;
          body.value = event.currentTarget.value;
          if (body.value !== "") workspace.ephemera.peek()?.typed(room.id);
        }}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229)
            return;
          event.preventDefault();
          void send();
        }}
      />
    </form>
  );
}

function Pins({ workspace, room }: { workspace: Workspace; room: RoomSync }) {
  workspace.revision(room.id);
  const { engine } = workspace;
  // Asked again when somebody pins, unpins, edits or deletes.
  const { events, has_failed } = useEvents(
    async () => (await api.pins(room.id, engine.seen_slot)).events,
    `${room.id}/${room.log.last}`,
  );
  return (
    <div class="panel-list" tabIndex={0} data-testid="pins">
      {has_failed && <p class="panel-note">{words.value.errors.internal}</p>}
      {events?.length === 0 && <p class="panel-note">{words.value.panel.noPins}</p>}
      {events?.map(
        (event) =>
          event.kind === "message" && (
            <PanelMessage key={event.seq} workspace={workspace} room={room} event={event} />
          ),
      )}
    </div>
  );
}

function Versions({ workspace, room, seq }: { workspace: Workspace; room: RoomSync; seq: Seq }) {
  workspace.revision(room.id);
  const { engine } = workspace;
  const edits = (changesOf(room.log.pieces).get(seq) ?? []).length;
  const { events, has_failed } = useEvents(
    async () => (await api.versions(room.id, seq, engine.seen_slot)).events,
    edits,
  );
  return (
    <div class="panel-list" tabIndex={0} data-testid="versions">
      {has_failed && <p class="panel-note">{words.value.errors.internal}</p>}
      {events?.map(
        (event) =>
          "body" in event && (
            <section key={event.seq} class="panel-version">
              <time dateTime={new Date(event.ts).toISOString()}>{fullMoment(event.ts)}</time>
              <div class="message-body">
                {event.body === "" ? words.value.actions.deleted : <Body text={event.body} />}
              </div>
            </section>
          ),
      )}
    </div>
  );
}

function PanelMessage({
  workspace,
  room,
  event,
}: {
  workspace: Workspace;
  room: RoomSync;
  event: MessageEvent;
}) {
  workspace.revision(room.id);
  // The panel is the thread: no link to it.
  const now = { ...messageNow(event, changesOf(room.log.pieces)), replies: 0 };
  const text = words.value;
  return (
    <section class="panel-message" data-testid="panel-message" data-seq={event.seq}>
      <header>
        <Avatar id={event.author.id} name={event.author.name} />
        <b>{event.author.name}</b>
        <button
          type="button"
          class="panel-jump"
          data-testid="panel-jump"
          title={text.panel.jump}
          aria-label={`${text.panel.jump}: ${fullMoment(event.ts)}`}
          onClick={() => {
            // On a phone the panel covers the room.
            if (!matchMedia("(min-width: 1100px)").matches) panel.value = undefined;
            showMessage(room.id, event.seq);
          }}
        >
          <time dateTime={new Date(event.ts).toISOString()}>{timeOfDay(event.ts)}</time>
        </button>
      </header>
      <div class="message-body">
        {now.deleted ? <i>{text.actions.deleted}</i> : <Body text={now.body} />}
        <Edited now={now} />
      </div>
      <Extras workspace={workspace} room={room.id} event={event} now={now} />
    </section>
  );
}
