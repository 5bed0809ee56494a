// A room as its people see and change it: what it is about, who is in it, its name, archived.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import type { NotificationLevel, Person } from "../../generated/frames.ts";
import * as api from "../../http/api.ts";
import { words } from "../../i18n/language.ts";
import { openRoom, showRoom } from "../../store/route.ts";
import type { Workspace } from "../../store/workspace.ts";
import type { RoomSync } from "../../sync/room-sync.ts";
import { announce } from "../announcer.tsx";
import { Avatar } from "../avatar.tsx";
import { PresenceDot } from "../ephemera.tsx";
import { Dialog } from "./dialog.tsx";
import { ChoosePerson } from "./people.tsx";
import { useWish } from "./wish.ts";

interface RoomDialogProps {
  workspace: Workspace;
  room: RoomSync;
  close(): void;
}

export function RoomDialog({ workspace, room, close }: RoomDialogProps) {
  workspace.revision(room.id);
  const text = words.value.people.room;
  return (
    <Dialog title={workspace.nameOf(room)} close={close}>
      {room.archived && <p class="warning">{text.isArchived}</p>}
      {room.kind === "direct" && <p class="hint">{text.directHint}</p>}
      {room.kind === "private" && <p class="hint">{text.privateHint}</p>}
      {room.kind !== "direct" && !room.is_system && !room.archived && (
        <Details workspace={workspace} room={room} />
      )}
      <Wishes workspace={workspace} room={room} />
      <Members workspace={workspace} room={room} />
      {room.kind !== "direct" && !room.is_system && (
        <>
          <Archive workspace={workspace} room={room} />
          <Leave workspace={workspace} room={room} close={close} />
        </>
      )}
    </Dialog>
  );
}

function Details({ workspace, room }: { workspace: Workspace; room: RoomSync }) {
  // A part with signals of its own is drawn again by these alone, not along with the dialog.
  workspace.revision(room.id);
  const text = words.value.people.room;
  const name = useRef<HTMLInputElement>(null);
  const topic = useRef<HTMLInputElement>(null);
  const { busy, failure, make } = useWish(words.value.newRoom.refused);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const wanted = name.current?.value.trim() ?? "";
    const about = topic.current?.value.trim() ?? "";
    const { engine } = workspace;
    void make(
      async () => {
        if (about !== room.topic) await engine.setTopic(room.id, about);
        if (wanted !== "" && wanted !== room.name) await engine.renameRoom(room.id, wanted);
      },
      () => announce(words.value.people.account.saved),
    );
  };
  return (
    <form class="dialog-part" onSubmit={submit}>
      <label for="room-topic">{text.topic}</label>
      <input
        id="room-topic"
        ref={topic}
        class="field"
        data-testid="room-topic"
        data-autofocus
        autocomplete="off"
        maxLength={250}
        defaultValue={room.topic}
      />
      <div class="field-row">
        <label for="room-new-name">{words.value.newRoom.name}</label>
        <input
          id="room-new-name"
          ref={name}
          class="field"
          data-testid="room-new-name"
          autocomplete="off"
          spellcheck={false}
          maxLength={64}
          defaultValue={room.name}
          aria-invalid={failure.value !== undefined}
        />
      </div>
      <p class="hint hint-error" data-testid="room-failure" hidden={failure.value === undefined}>
        {failure.value}
      </p>
      <button
        type="submit"
        class="button button-small"
        data-testid="room-save"
        aria-disabled={busy.value}
      >
        {words.value.people.account.save}
      </button>
    </form>
  );
}

const LEVELS: readonly NotificationLevel[] = ["all", "mentions", "nothing"];

/** The person's own: nobody else sees it. */
function Wishes({ workspace, room }: { workspace: Workspace; room: RoomSync }) {
  workspace.revision(room.id);
  const text = words.value.people.wishes;
  const { failure, make } = useWish();
  const { level, favourite } = room;
  const wish = (wanted: NotificationLevel, above: boolean) =>
    void make(() => workspace.engine.wish(room.id, wanted, above));
  // In a direct room every message is meant for its people.
  const levels = LEVELS.filter((one) => room.kind !== "direct" || one !== "all");
  return (
    <section class="dialog-part">
      <fieldset class="choices" data-testid="room-level">
        <legend>{text.title}</legend>
        {levels.map((one) => (
          <label key={one}>
            <input
              type="radio"
              name="room-level"
              value={one}
              checked={level === one}
              onChange={() => wish(one, favourite)}
            />
            {room.kind === "direct" && one === "mentions" ? text.levels.all : text.levels[one]}
          </label>
        ))}
      </fieldset>
      <label class="choice">
        <input
          type="checkbox"
          data-testid="room-favourite"
          checked={favourite}
          onChange={() => wish(level, !favourite)}
        />
        {text.favourite}
      </label>
      <p class="hint hint-error" hidden={failure.value === undefined}>
        {failure.value}
      </p>
    </section>
  );
}

function Members({ workspace, room }: { workspace: Workspace; room: RoomSync }) {
  workspace.revision(room.id);
  const text = words.value.people.room;
  const found = useSignal<readonly Person[]>([]);
  const is_adding = useSignal(false);
  const { failure, make } = useWish();
  const { members, log } = room;
  // Whoever comes or goes is an event of the room. The latest question counts, not the first one.
  useEffect(() => {
    let is_latest = true;
    api.members(room.id, workspace.engine.seen_slot).then(
      (now) => {
        if (is_latest) found.value = now;
      },
      () => {
        // The list stays as it was; the next event asks again.
      },
    );
    return () => {
      is_latest = false;
    };
  }, [members, log.last]);

  const may_change = room.kind !== "direct" && !room.is_system;
  const remove = (person: Person) => make(() => workspace.engine.removeMember(room.id, person.id));
  const add = (id: number) =>
    make(
      () => workspace.engine.addMember(room.id, id),
      () => {
        is_adding.value = false;
      },
    );

  return (
    <section class="dialog-part">
      <h3>{words.value.rooms.members(members)}</h3>
      <p class="hint hint-error" hidden={failure.value === undefined}>
        {failure.value}
      </p>
      <ul class="people-list" data-testid="members">
        {found.value.map((person) => (
          <li key={person.id} data-person={person.name}>
            <Avatar id={person.id} name={person.name} colour={workspace.colourOf(person.id)} />
            <span class="people-name">{person.name}</span>
            <PresenceDot workspace={workspace} id={person.id} />
            {may_change && workspace.mayManage(room) && person.id !== workspace.user.id && (
              <button
                type="button"
                class="button button-small"
                data-testid="remove-member"
                aria-label={text.removeOne(person.name)}
                onClick={() => void remove(person)}
              >
                {text.remove}
              </button>
            )}
          </li>
        ))}
      </ul>
      {may_change && !room.archived && !is_adding.value && (
        <button
          type="button"
          class="button button-small"
          data-testid="add-member"
          onClick={() => {
            is_adding.value = true;
          }}
        >
          {text.add}
        </button>
      )}
      {is_adding.value && (
        <ChoosePerson
          workspace={workspace}
          without={found.value.map((person) => person.id)}
          choose={(person) => void add(person.id)}
        />
      )}
    </section>
  );
}

function Archive({ workspace, room }: { workspace: Workspace; room: RoomSync }) {
  workspace.revision(room.id);
  const text = words.value.people.room;
  const { busy, failure, make } = useWish();
  if (!workspace.mayManage(room)) return null;
  return (
    <section class="dialog-part">
      <p class="hint">{text.archiveHint}</p>
      <p class="hint hint-error" hidden={failure.value === undefined}>
        {failure.value}
      </p>
      <button
        type="button"
        class="button button-small"
        data-testid="archive-room"
        aria-disabled={busy.value}
        onClick={() => void make(() => workspace.engine.archiveRoom(room.id, !room.archived))}
      >
        {room.archived ? text.restore : text.archive}
      </button>
    </section>
  );
}

function Leave({ workspace, room, close }: RoomDialogProps) {
  const text = words.value.people.room;
  const { busy, failure, make } = useWish();
  const leave = () =>
    make(
      () => workspace.engine.leaveRoom(room.id),
      () => {
        close();
        if (openRoom.value === room.id) showRoom(undefined, "replace");
      },
    );
  return (
    <section class="dialog-part">
      <p class="hint">{room.kind === "private" ? text.leaveHintPrivate : text.leaveHint}</p>
      <p class="hint hint-error" hidden={failure.value === undefined}>
        {failure.value}
      </p>
      <button
        type="button"
        class="button button-small button-danger"
        data-testid="leave-room"
        aria-disabled={busy.value}
        onClick={() => void leave()}
      >
        {words.value.rooms.leave}
      </button>
    </section>
  );
}
