// The list of names above the composer while one is being typed. Focus stays in the text field:
// the list is pointed to by `aria-activedescendant`.

import { type Signal, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useId } from "preact/hooks";

import {
  accepted,
  type Offer,
  offersFor,
  type Question,
  questionAt,
} from "../composer/completion.ts";
import * as api from "../http/api.ts";
import { words } from "../i18n/language.ts";
import { EVERYBODY } from "../markdown/mentions.ts";
import { learnPeople } from "../store/people.ts";
import type { Workspace } from "../store/workspace.ts";
import type { RoomSync } from "../sync/room-sync.ts";
import { announce } from "./announcer.tsx";

interface CompletionOptions {
  field: RefObject<HTMLTextAreaElement | null>;
  workspace: Workspace;
  room: RoomSync;
  write(text: string): void;
}

interface Shown {
  question: Question;
  offers: readonly Offer[];
  selected: number;
}

export interface Completion {
  shown: Signal<Shown | undefined>;
  list_id: string;
  /** After each change of the text or of the caret. */
  look(): void;
  close(): void;
  take(index: number): void;
  /** Whether the key was for the list. */
  onKeyDown(event: KeyboardEvent): boolean;
}

export function useCompletion({ field, workspace, room, write }: CompletionOptions): Completion {
  const shown = useSignal<Shown | undefined>(undefined);
  /** Who is in the room; undefined until somebody is looked for. */
  const members = useSignal<readonly string[] | undefined>(undefined);
  const emoji = useSignal<readonly Offer[] | undefined>(undefined);
  const list_id = useId();

  const sources = {
    "@": () => {
      if (members.value === undefined) {
        // Without an answer those who wrote here are known all the same.
        members.value = writersOf(room);
        void api.members(room.id, workspace.engine.seen_slot).then(
          (persons) => {
            learnPeople(persons);
            members.value = persons.map((person) => person.name);
            look();
          },
          () => {},
        );
      }
      return [
        ...members.value.map((name) => ({ name, insert: `@${name}` })),
        { name: EVERYBODY, insert: `@${EVERYBODY}`, note: words.value.completion.everybody },
      ];
    },
    "#": () => workspace.rooms.value.map(({ name }) => ({ name, insert: `#${name}` })),
    ":": () => {
      if (emoji.value === undefined) {
        emoji.value = [];
        void import("../composer/emoji.ts").then(
          (table) => {
            emoji.value = table.emoji;
            look();
          },
          () => {
            emoji.value = undefined;
          },
        );
      }
      return emoji.value ?? [];
    },
  };

  const look = () => {
    const element = field.current;
    if (element === null || element.selectionStart !== element.selectionEnd) return close();
    const question = questionAt(element.value, element.selectionStart);
    if (question === undefined) return close();
    const offers = offersFor(question.typed, sources[question.trigger]());
    shown.value = offers.length === 0 ? undefined : { question, offers, selected: 0 };
  };
  const close = () => {
    shown.value = undefined;
  };
  const take = (index: number) => {
    const element = field.current;
    const offer = shown.value?.offers[index];
    if (element === null || shown.value === undefined || offer === undefined) return;
    const result = accepted(element.value, element.selectionStart, shown.value.question, offer);
    close();
    write(result.text);
    // Now, not with the next drawing: the caret belongs behind the name at once.
    element.value = result.text;
    element.setSelectionRange(result.caret, result.caret);
    element.focus();
  };

  const onKeyDown = (event: KeyboardEvent): boolean => {
    const now = shown.value;
    if (now === undefined || event.isComposing || event.ctrlKey || event.altKey || event.metaKey)
      return false;
    switch (event.key) {
      case "ArrowDown":
      case "ArrowUp": {
        const step = event.key === "ArrowDown" ? 1 : -1;
        const selected = (now.selected + step + now.offers.length) % now.offers.length;
        shown.value = { ...now, selected };
        return true;
      }
      case "Enter":
      case "Tab":
        if (event.shiftKey || event.keyCode === 229) return false;
        // The name is already there in full: Enter means what it always means.
        if (event.key === "Enter" && isComplete(now)) {
          close();
          return false;
        }
        take(now.selected);
        return true;
      case "Escape":
        close();
        return true;
      default:
        return false;
    }
  };

  // Nobody is told of the list but who looks at it: the first of it is spoken.
  const first = shown.value?.offers[shown.value.selected]?.name;
  const count = shown.value?.offers.length ?? 0;
  useEffect(() => {
    if (count > 0 && first !== undefined) announce(words.value.completion.offered(count, first));
  }, [count > 0]);

  return { shown, list_id, look, close, take, onKeyDown };
}

export function CompletionList({ completion }: { completion: Completion }) {
  const { shown, list_id, take } = completion;
  if (shown.value === undefined) return null;
  const { offers, selected, question } = shown.value;
  return (
    <ul
      id={list_id}
      class="completion"
      role="listbox"
      data-testid="completion"
      aria-label={words.value.completion.label}
    >
      {offers.map((offer, index) => (
        <li
          key={offer.name}
          id={optionId(list_id, index)}
          role="option"
          aria-selected={index === selected}
          data-name={offer.name}
          // The text field keeps the focus.
          onPointerDown={(event) => event.preventDefault()}
          onClick={() => take(index)}
        >
          <span class="completion-symbol" aria-hidden="true">
            {offer.symbol ?? question.trigger}
          </span>
          <span dir="auto">{offer.name}</span>
          {offer.note !== undefined && <span class="completion-note">{offer.note}</span>}
        </li>
      ))}
    </ul>
  );
}

/** What the text field says of the list. */
export function completionAttributes({ shown, list_id }: Completion) {
  return {
    "aria-autocomplete": "list" as const,
    "aria-controls": shown.value === undefined ? undefined : list_id,
    "aria-activedescendant":
      shown.value === undefined ? undefined : optionId(list_id, shown.value.selected),
  };
}

function isComplete({ question, offers, selected }: Shown): boolean {
  return offers[selected]?.insert === question.trigger + question.typed;
}

function optionId(list_id: string, index: number): string {
  return `${list_id}-${index}`;
}

function writersOf(room: RoomSync): string[] {
  const names = room.log.pieces.flatMap((piece) =>
    piece.kind === "loaded" ? piece.events.map((event) => event.author.name) : [],
  );
  return [...new Set(names)].filter((name) => name !== "");
}
