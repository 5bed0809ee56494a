// The line that says who is writing, and the dots that say who is there. Loaded on demand.

import { useEffect, useRef } from "preact/hooks";

import type { UserId } from "../generated/frames.ts";
import { words } from "../i18n/language.ts";
import type { Workspace } from "../store/workspace.ts";
import type { RoomSync } from "../sync/room-sync.ts";
import { announce } from "./announcer.tsx";
import "./styles/ephemera.css";

/** Stands over the end of the history, in a place that is kept free: nothing moves for it. */
export function TypingLine({ workspace, room }: { workspace: Workspace; room: RoomSync }) {
  const writers = workspace.ephemera.value?.writersIn(room.id) ?? [];
  const text = words.value.people.writing(writers.map((person) => person.name));
  const is_quiet = writers.length === 0;
  const said = useRef("");
  useEffect(() => {
    // Once when it begins: who joins in or goes on is no news to a listener.
    if (is_quiet) said.current = "";
    else if (said.current === "") announce((said.current = text));
  }, [is_quiet]);
  return (
    <p class="typing" data-testid="typing" data-quiet={is_quiet} dir="auto">
      {text}
    </p>
  );
}

/** State is told by the form and in words, not by the colour alone. */
export function PresenceDot({ workspace, id }: { workspace: Workspace; id: UserId }) {
  const ephemera = workspace.ephemera.value;
  useEffect(() => ephemera?.show([id]), [ephemera, id]);
  const presence = ephemera?.presenceOf(id);
  if (presence === undefined) return null;
  const text = words.value.people.presence[presence];
  return (
    <span class="presence" data-testid="presence" data-presence={presence} title={text}>
      <span class="hidden-visually">, {text}</span>
    </span>
  );
}
