// Search over everything the person may see, in the right panel: pages, highlighted, each hit a way
// into its place.

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

import type { SearchAnswer, SearchHit } from "../generated/frames.ts";
import * as api from "../http/api.ts";
import { words } from "../i18n/language.ts";
import { panel } from "../store/panel.ts";
import { showMessage } from "../store/route.ts";
import type { Workspace } from "../store/workspace.ts";
import { RequestFailed } from "../sync/history.ts";
import { announce } from "./announcer.tsx";
import { dayName, fullMoment, timeOfDay } from "./dates.ts";

export function Search({ workspace }: { workspace: Workspace }) {
  const text = words.value.search;
  const field = useRef<HTMLInputElement>(null);
  const typed = useSignal("");
  const asked = useSignal("");
  const hits = useSignal<readonly SearchHit[]>([]);
  const last = useSignal<SearchAnswer | undefined>(undefined);
  const failure = useSignal<string | undefined>(undefined);
  const is_busy = useSignal(false);
  // Before it is seen: whoever sees the field types into it.
  useLayoutEffect(() => field.current?.focus(), []);

  const find = async (question: string, cursor?: number) => {
    if (question.trim() === "" || is_busy.value) return;
    is_busy.value = true;
    failure.value = undefined;
    try {
      const answer = await api.search(question, cursor, workspace.engine.seen_slot);
      hits.value = cursor === undefined ? answer.hits : [...hits.value, ...answer.hits];
      last.value = answer;
      asked.value = question;
      announce(text.found(hits.value.length, answer.next !== undefined));
    } catch (error) {
      const is_bad = error instanceof RequestFailed && error.code === "bad_request";
      failure.value = is_bad
        ? text.help
        : error instanceof RequestFailed
          ? words.value.errors[error.code]
          : String(error);
    } finally {
      is_busy.value = false;
    }
  };
  const next = last.value?.next;
  return (
    <>
      <form
        class="search-form"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          void find(typed.value);
        }}
      >
        <input
          ref={field}
          type="search"
          data-testid="search-field"
          aria-label={text.label}
          placeholder={text.placeholder}
          value={typed.value}
          onInput={(event) => {
            typed.value = event.currentTarget.value;
          }}
        />
        <p class="panel-note">{text.operators}</p>
      </form>
      <div class="panel-list" tabIndex={0} data-testid="search-hits">
        {failure.value !== undefined && <p class="hint hint-error">{failure.value}</p>}
        {last.value !== undefined && (
          <p class="panel-note">{text.found(hits.value.length, next !== undefined)}</p>
        )}
        {last.value?.lags === true && (
          <p class="panel-note" data-testid="search-lags">
            {text.lags}
          </p>
        )}
        {hits.value.map((hit) => (
          <Hit key={`${hit.room}/${hit.seq}`} hit={hit} />
        ))}
        {next !== undefined && (
          <button
            type="button"
            class="button"
            data-testid="search-more"
            onClick={() => void find(asked.value, next)}
          >
            {text.more}
          </button>
        )}
      </div>
    </>
  );
}

function Hit({ hit }: { hit: SearchHit }) {
  return (
    <button
      type="button"
      class="search-hit"
      data-testid="search-hit"
      data-seq={hit.seq}
      onClick={() => {
        // On a phone the panel covers the room.
        if (!matchMedia("(min-width: 1100px)").matches) panel.value = undefined;
        showMessage(hit.room, hit.seq);
      }}
    >
      <span class="search-where">
        <b>{hit.author.name}</b> #{hit.room_name}{" "}
        <time dateTime={new Date(hit.ts).toISOString()} title={fullMoment(hit.ts)}>
          {dayName(hit.ts)}, {timeOfDay(hit.ts)}
        </time>
      </span>
      <span class="search-text">
        {hit.snippet.map((piece) => (piece.hit === true ? <mark>{piece.text}</mark> : piece.text))}
      </span>
    </button>
  );
}
