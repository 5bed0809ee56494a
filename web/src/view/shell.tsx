// The signed-in page: header, rooms, and the room that is open. One pane at a time on a phone.

import { computed, useComputed, useSignal } from "@preact/signals";
import { lazy, Suspense } from "preact/compat";
import { useEffect, useLayoutEffect } from "preact/hooks";

import { words } from "../i18n/language.ts";
import { panel } from "../store/panel.ts";
import { openRoom, showRoom } from "../store/route.ts";
import { arrivals } from "../store/session.ts";
import { badge } from "../store/unread.ts";
import type { Workspace } from "../store/workspace.ts";
import { xrayed } from "../store/xray.ts";
import type { RoomSync } from "../sync/room-sync.ts";
import { announce } from "./announcer.tsx";
import { useBadge } from "./badge.ts";
import { Banner } from "./banner.tsx";
import { ClusterChip } from "./cluster-chip.tsx";
import { ClusterPanel } from "./cluster-panel.tsx";
import { Palette } from "./dialogs/palette.tsx";
import { BackIcon, Logo, PeopleIcon, PinIcon, SearchIcon } from "./icons.tsx";
import { useKeyboard } from "./keyboard.ts";
import { RoomPane } from "./room-pane.tsx";
import { SidePanel } from "./side-panel.tsx";
import { markOf, Sidebar } from "./sidebar.tsx";
import { summary } from "./replicas.ts";

// Seldom opened: not part of what the first screen loads.
const Account = lazy(async () => ({ default: (await import("./dialogs/account.tsx")).Account }));
const SignUps = lazy(async () => ({ default: (await import("./dialogs/sign-ups.tsx")).SignUps }));
const Accounts = lazy(async () => ({ default: (await import("./dialogs/accounts.tsx")).Accounts }));
const BrowseRooms = lazy(async () => ({
  default: (await import("./dialogs/browse-rooms.tsx")).BrowseRooms,
}));
const Help = lazy(async () => ({ default: (await import("./dialogs/help.tsx")).Help }));
const NewRoom = lazy(async () => ({ default: (await import("./dialogs/new-room.tsx")).NewRoom }));
const SignOut = lazy(async () => ({ default: (await import("./dialogs/sign-out.tsx")).SignOut }));
const XRay = lazy(async () => ({ default: (await import("./dialogs/xray.tsx")).XRay }));
const NewDirect = lazy(async () => ({ default: (await import("./dialogs/people.tsx")).NewDirect }));
const RoomDialog = lazy(async () => ({ default: (await import("./dialogs/room.tsx")).RoomDialog }));

export type DialogName =
  | "new-room"
  | "browse-rooms"
  | "sign-out"
  | "palette"
  | "help"
  | "account"
  | "sign-ups"
  | "accounts"
  | "new-direct"
  | "room";

/** Wide enough for both panes: then a room is always open. The same width as in layout.css. */
const TWO_PANES = "(min-width: 720px)";

export function Shell({ workspace }: { workspace: Workspace }) {
  const dialog = useSignal<DialogName | undefined>(undefined);
  const open = useComputed(() => workspace.rooms.value.find((room) => room.id === openRoom.value));
  const room = open.value;
  const shown = panel.value;
  const of = shown !== undefined && "room" in shown ? shown.room : undefined;
  const beside = workspace.rooms.value.find((one) => one.id === of);
  const has_panel = shown?.kind === "search" || beside !== undefined;
  const ask = (name: DialogName) => {
    dialog.value = name;
  };
  const close = () => {
    dialog.value = undefined;
  };

  useKeyboard(workspace, ask);
  useDefaultRoom(workspace);
  useTitle(workspace, room);
  useBadge(workspace);
  useEffect(() => {
    arrivals.listener = (where, event) => {
      if (
        where.id !== openRoom.value ||
        event.kind !== "message" ||
        event.author.id === workspace.user.id
      )
        return;
      announce(`${event.author.name}: ${event.body}`);
    };
  }, [workspace]);
  useEffect(() => {
    workspace.engine.focusOn(room?.id);
    if (room !== undefined) workspace.memory.lastRoom = room.id;
    // A thread belongs to its room.
    const beside = panel.value;
    if (beside !== undefined && "room" in beside && beside.room !== room?.id)
      panel.value = undefined;
  }, [room?.id]);

  return (
    <div
      class="shell"
      data-view={room === undefined ? "rooms" : "room"}
      data-panel={has_panel}
    >
      <header class="bar">
        <div class="bar-brand">
          <Logo />
          <span>Chatterbox</span>
        </div>
        {room === undefined ? (
          <div class="bar-room" />
        ) : (
          <div class="bar-room">
            <button
              type="button"
              class="button-icon bar-back"
              aria-label={words.value.back}
              onClick={() => showRoom(undefined)}
            >
              <BackIcon />
            </button>
            <RoomHeading workspace={workspace} room={room} />
            {!room.is_system && <ShowPins room={room} />}
            {!room.is_system && (
              <button
                type="button"
                class="button-icon"
                data-testid="room-settings"
                aria-label={words.value.people.room.open}
                title={words.value.people.room.open}
                onClick={() => {
                  dialog.value = "room";
                }}
              >
                <PeopleIcon />
              </button>
            )}
          </div>
        )}
        <SearchButton />
        <ClusterChip cluster={workspace.cluster.value} />
      </header>
      <Sidebar
        workspace={workspace}
        open_id={room?.id}
        ask={ask}
      />
      <main class="pane" data-region="room" aria-label={room?.name ?? words.value.regions.room}>
        <Banner banner={workspace.banner.value} />
        {room !== undefined && <RoomPane key={room.id} workspace={workspace} room={room} />}
        {room === undefined && workspace.is_loaded.value && (
          <Nothing workspace={workspace} ask={ask} />
        )}
      </main>
      {shown !== undefined && has_panel && (
        <SidePanel workspace={workspace} shown={shown} room={beside} />
      )}
      <ClusterPanel workspace={workspace} />
      {dialog.value === "palette" && <Palette workspace={workspace} close={close} ask={ask} />}
      <Suspense fallback={null}>
        {dialog.value === "new-room" && <NewRoom workspace={workspace} close={close} />}
        {dialog.value === "browse-rooms" && <BrowseRooms workspace={workspace} close={close} />}
        {xrayed.value !== undefined && (
          <XRay
            workspace={workspace}
            event={xrayed.value}
            close={() => {
              xrayed.value = undefined;
            }}
          />
        )}
        {dialog.value === "help" && <Help close={close} />}
        {dialog.value === "account" && <Account workspace={workspace} close={close} />}
        {dialog.value === "sign-ups" && (
          <SignUps workspace={workspace} close={close} ask={ask} />
        )}
        {dialog.value === "accounts" && <Accounts workspace={workspace} close={close} />}
        {dialog.value === "new-direct" && <NewDirect workspace={workspace} close={close} />}
        {dialog.value === "room" && room !== undefined && (
          <RoomDialog workspace={workspace} room={room} close={close} />
        )}
        {dialog.value === "sign-out" && <SignOut workspace={workspace} close={close} />}
      </Suspense>
    </div>
  );
}

function RoomHeading({ workspace, room }: { workspace: Workspace; room: RoomSync }) {
  workspace.revision(room.id);
  return (
    <div class="bar-heading">
      <h1>
        <span class="hash" aria-hidden="true">
          {markOf(room)}
        </span>
        {workspace.nameOf(room)}
      </h1>
      <p>
        {room.is_system
          ? summary(workspace.cluster.value)
          : words.value.rooms.members(room.members)}
        {room.archived && ` · ${words.value.people.room.isArchived}`}
        {room.topic !== "" && ` · ${room.topic}`}
      </p>
    </div>
  );
}

function SearchButton() {
  const text = words.value.panel;
  return (
    <button
      type="button"
      class="button-icon bar-search"
      data-testid="search"
      aria-label={text.search}
      title={text.search}
      onClick={() => {
        panel.value = panel.value?.kind === "search" ? undefined : { kind: "search" };
      }}
    >
      <SearchIcon />
    </button>
  );
}

function ShowPins({ room }: { room: RoomSync }) {
  const text = words.value.panel;
  return (
    <button
      type="button"
      class="button-icon"
      data-testid="show-pins"
      aria-label={text.pins}
      title={text.pins}
      onClick={() => {
        panel.value = panel.value?.kind === "pins" ? undefined : { kind: "pins", room: room.id };
      }}
    >
      <PinIcon />
    </button>
  );
}

function Nothing({ workspace, ask }: { workspace: Workspace; ask(name: DialogName): void }) {
  const text = words.value.rooms;
  const has_rooms = workspace.rooms.value.length > 0;
  return (
    <div class="nothing">
      <Logo />
      <h1>{has_rooms ? text.choose : text.none}</h1>
      {!has_rooms && <p>{text.noneText}</p>}
      {!has_rooms && (
        <div class="nothing-actions">
          <button type="button" class="button button-primary" onClick={() => ask("new-room")}>
            {text.create}
          </button>
          <button type="button" class="button" onClick={() => ask("browse-rooms")}>
            {text.browse}
          </button>
        </div>
      )}
      <p class="cluster-line">{summary(workspace.cluster.value)}</p>
    </div>
  );
}

/** Opens the room of the last visit, or the first, where there is space for it beside the list. */
function useDefaultRoom(workspace: Workspace): void {
  const wanted = computed(() => {
    const rooms = workspace.rooms.value;
    if (rooms.some((room) => room.id === openRoom.value)) return undefined;
    return rooms.find((room) => room.id === workspace.memory.lastRoom)?.id ?? rooms[0]?.id;
  }).value;
  useLayoutEffect(() => {
    if (wanted !== undefined && matchMedia(TWO_PANES).matches) showRoom(wanted, "replace");
  }, [wanted]);
}

function useTitle(workspace: Workspace, room: RoomSync | undefined): void {
  const rooms = workspace.rooms.value.map((one) => workspace.unread(one));
  const count = rooms.reduce((sum, one) => sum + one.count, 0);
  const unread = badge(count, rooms.some((one) => one.more));
  const name = room === undefined ? "" : `${workspace.nameOf(room)} · `;
  useEffect(() => {
    document.title = `${unread === "" ? "" : `(${unread}) `}${name}Chatterbox`;
  }, [unread, name]);
}
