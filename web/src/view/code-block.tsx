// A piece of code. Its colours come when the highlighter is here, which is loaded only by those
// who see a piece of code in a language that was named.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { words } from "../i18n/language.ts";
import { announce } from "./announcer.tsx";
import { copyToClipboard } from "./clipboard.ts";
import { CopyIcon } from "./icons.tsx";
import type { Segment } from "./highlighter.ts";

export function CodeBlock({ text, language }: { text: string; language: string | undefined }) {
  const segments = useSignal<readonly Segment[] | undefined>(undefined);
  const label = words.value.body;

  useEffect(() => {
    segments.value = undefined;
    if (language === undefined) return;
    let is_there = true;
    import("./highlighter.ts").then(
      ({ highlight }) => {
        if (is_there) segments.value = highlight(text, language);
      },
      () => {
        // Offline, or another version is served by now: code without colours is code.
      },
    );
    return () => {
      is_there = false;
    };
  }, [text, language]);

  const copy = async () => {
    if (await copyToClipboard(text)) announce(words.value.failed.copied);
  };

  return (
    <div class="code-block" data-language={language} data-highlighted={segments.value !== undefined}>
      {/* Wider than the message it is moved sideways, also by keyboard. */}
      <pre dir="ltr" role="group" aria-label={label.code(language)} tabIndex={0}>
        <code>
          {segments.value?.map(({ text: piece, scope }) =>
            scope === "" ? piece : <span class={scope}>{piece}</span>,
          ) ?? text}
        </code>
      </pre>
      <button
        type="button"
        class="button-icon code-copy"
        aria-label={label.copyCode}
        title={label.copyCode}
        onClick={() => void copy()}
      >
        <CopyIcon />
      </button>
    </div>
  );
}
