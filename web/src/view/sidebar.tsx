// The rooms of the person, and the way to more of them.

import { lazy, Suspense } from "preact/compat";

import { words } from "../i18n/language.ts";
import { showRoom } from "../store/route.ts";
import { badge, isUnread } from "../store/unread.ts";
import type { Workspace } from "../store/workspace.ts";
import type { RoomId } from "../sync/event.ts";
import type { RoomSync } from "../sync/room-sync.ts";
import { Avatar } from "./avatar.tsx";
import { BrowseIcon, HelpIcon, InviteIcon, LeaveIcon, PeopleIcon, PlusIcon, SearchIcon } from "./icons.tsx";
import { LanguageSwitch } from "./language-switch.tsx";
import type { DialogName } from "./shell.tsx";

const PresenceDot = lazy(async () => ({ default: (await import("./ephemera.tsx")).PresenceDot }));

interface SidebarProps {
  workspace: Workspace;
  open_id: RoomId | undefined;
  ask(dialog: DialogName): void;
}

export function Sidebar({ workspace, open_id, ask }: SidebarProps) {
  const text = words.value;
  const me = workspace.me.value;
  return (
    <nav class="sidebar" data-region="rooms" aria-label={text.regions.rooms}>
      <button
        type="button"
        class="sidebar-find"
        data-testid="open-palette"
        onClick={() => ask("palette")}
      >
        <SearchIcon />
        <span>{text.palette.open}</span>
        <kbd aria-hidden="true">{text.help.keys.palette}</kbd>
      </button>
      <div class="sidebar-heading">
        <h2>{text.rooms.title}</h2>
        <button
          type="button"
          class="button-icon"
          data-testid="browse-rooms"
          aria-label={text.rooms.browse}
          title={text.rooms.browse}
          onClick={() => ask("browse-rooms")}
        >
          <BrowseIcon />
        </button>
        <button
          type="button"
          class="button-icon"
          data-testid="new-room"
          aria-label={text.rooms.create}
          title={text.rooms.create}
          onClick={() => ask("new-room")}
        >
          <PlusIcon />
        </button>
        <button
          type="button"
          class="button-icon"
          data-testid="new-direct"
          aria-label={text.people.direct.title}
          title={text.people.direct.title}
          onClick={() => ask("new-direct")}
        >
          <PeopleIcon />
        </button>
      </div>
      <ul class="room-list" data-testid="room-list">
        {workspace.rooms.value.map((room) => (
          <RoomItem key={room.id} workspace={workspace} room={room} is_open={room.id === open_id} />
        ))}
      </ul>
      <footer class="account" aria-label={text.regions.account}>
        <button
          type="button"
          class="account-button"
          data-testid="account"
          title={text.people.account.open}
          onClick={() => ask("account")}
        >
          <Avatar id={me.id} name={me.name} colour={me.colour} />
          <span class="account-name">{me.name}</span>
          <span class="hidden-visually">, {text.people.account.open}</span>
        </button>
        {workspace.may_administer && (
          <button
            type="button"
            class="button-icon"
            data-testid="sign-ups"
            aria-label={text.people.signUps.open}
            title={text.people.signUps.open}
            onClick={() => ask("sign-ups")}
          >
            <InviteIcon />
          </button>
        )}
        <LanguageSwitch />
        <button
          type="button"
          class="button-icon"
          data-testid="open-help"
          aria-label={text.help.title}
          title={`${text.help.title} (${text.help.keys.help})`}
          onClick={() => ask("help")}
        >
          <HelpIcon />
        </button>
        <button
          type="button"
          class="button-icon"
          data-testid="sign-out"
          aria-label={text.signOut.open}
          title={text.signOut.open}
          onClick={() => ask("sign-out")}
        >
          <LeaveIcon />
        </button>
      </footer>
    </nav>
  );
}

function RoomItem({
  workspace,
  room,
  is_open,
}: {
  workspace: Workspace;
  room: RoomSync;
  is_open: boolean;
}) {
  const unread = workspace.unread(room);
  const is_unread = isUnread(unread);
  const name = workspace.nameOf(room);
  const other = workspace.otherIn(room);
  const waiting = workspace.outbox.value.filter(
    (entry) => entry.stored.room === room.id && entry.progress === "failed",
  );
  return (
    <li>
      <button
        type="button"
        class={classOf(room, is_unread)}
        data-testid="room-item"
        data-room-name={name}
        data-unread={is_unread}
        data-unread-count={badge(unread.count, unread.more)}
        data-mentions={unread.mentions}
        data-favourite={room.favourite}
        aria-current={is_open ? "page" : undefined}
        onClick={() => showRoom(room.id)}
      >
        <span class="hash" aria-hidden="true">
          {markOf(room)}
        </span>
        <span class="room-item-name">{name}</span>
        {room.favourite && (
          <span class="room-item-favourite" title={words.value.people.wishes.isFavourite}>
            ★<span class="hidden-visually">{words.value.people.wishes.isFavourite}</span>
          </span>
        )}
        {other !== undefined && (
          <Suspense fallback={null}>
            <PresenceDot workspace={workspace} id={other} />
          </Suspense>
        )}
        {waiting.length > 0 && (
          <span class="room-item-failed" title={words.value.states.failed}>
            !<span class="hidden-visually">{words.value.states.failed}</span>
          </span>
        )}
        {is_unread && (
          <span class="hidden-visually">
            , {badge(unread.count, unread.more)} {words.value.rooms.unread}
          </span>
        )}
        {unread.mentions > 0 && (
          <span class="room-item-badge" title={words.value.rooms.mentions(unread.mentions)}>
            @{badge(unread.mentions)}
            <span class="hidden-visually">, {words.value.rooms.mentions(unread.mentions)}</span>
          </span>
        )}
      </button>
    </li>
  );
}

/** What stands before a room's name. The name says the same to whoever cannot see it. */
export function markOf(room: RoomSync): string {
  return room.kind === "direct" ? "@" : room.kind === "private" ? "◆" : "#";
}

function classOf(room: RoomSync, is_unread: boolean): string {
  if (room.is_system) return "room-item room-item-quiet";
  return is_unread ? "room-item room-item-unread" : "room-item";
}
