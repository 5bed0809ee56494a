// The text of a message as elements. Each is made here by name; no string ever becomes markup.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId, useMemo } from "preact/hooks";

import { words } from "../i18n/language.ts";
import { mentions } from "../markdown/mentions.ts";
import { type Block, type Inline, parse } from "../markdown/parse.ts";
import { names, ownId } from "../store/names.ts";
import { CodeBlock } from "./code-block.tsx";
import { isLong } from "./fold.ts";

export function Body({ text }: { text: string }) {
  // The same element each time: a room that draws its rows again compares no text that is the same.
  const blocks = useMemo(() => <Blocks blocks={parse(text)} />, [text]);
  return isLong(text) ? <Folded>{blocks}</Folded> : <div class="message-body">{blocks}</div>;
}

/** The beginning of a long text, and all of it on demand. */
function Folded({ children }: { children: ComponentChildren }) {
  const open = useSignal(false);
  const id = useId();
  const text = words.value.body;
  return (
    <div class="message-fold">
      <div id={id} class={open.value ? "message-body" : "message-body message-folded"}>
        {children}
      </div>
      <button
        type="button"
        class="message-more"
        data-testid="show-more"
        aria-expanded={open.value}
        aria-controls={id}
        onClick={() => {
          open.value = !open.value;
        }}
      >
        {open.value ? text.less : text.more}
      </button>
    </div>
  );
}

function Blocks({ blocks }: { blocks: readonly Block[] }) {
  return (
    <>
      {blocks.map((block) => (
        <BlockView block={block} />
      ))}
    </>
  );
}

function BlockView({ block }: { block: Block }) {
  switch (block.kind) {
    case "paragraph":
      return (
        <p dir="auto">
          <Inlines parts={block.children} />
        </p>
      );
    case "heading":
      // Not h1…h6: a message must not become a part of the page's outline.
      return (
        <p dir="auto" class="message-heading">
          <Inlines parts={block.children} />
        </p>
      );
    case "code":
      return <CodeBlock text={block.text} language={block.language} />;
    case "quote":
      return (
        <blockquote dir="auto">
          <Blocks blocks={block.children} />
        </blockquote>
      );
    case "list":
      return <List block={block} />;
    case "table":
      return <Table block={block} />;
    case "rule":
      return <hr />;
  }
}

function List({ block }: { block: Extract<Block, { kind: "list" }> }) {
  const text = words.value.body;
  const items = block.items.map((item) => (
    <li dir="auto" class={item.checked === undefined ? undefined : "task"}>
      {item.checked !== undefined && (
        <span role="img" class="task-box" aria-label={item.checked ? text.done : text.open}>
          {item.checked ? "☑" : "☐"}
        </span>
      )}
      <Blocks blocks={item.children} />
    </li>
  ));
  return block.start === undefined ? <ul>{items}</ul> : <ol start={block.start}>{items}</ol>;
}

function Table({ block }: { block: Extract<Block, { kind: "table" }> }) {
  const align = (column: number) => {
    const side = block.align[column];
    return side === undefined ? undefined : `align-${side}`;
  };
  return (
    // Wider than the message it is moved sideways, also by keyboard.
    <div class="message-table" role="group" aria-label={words.value.body.table} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {block.head.map((cell, column) => (
              <th scope="col" dir="auto" class={align(column)}>
                <Inlines parts={cell} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {block.rows.map((row) => (
            <tr>
              {row.map((cell, column) => (
                <td dir="auto" class={align(column)}>
                  <Inlines parts={cell} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Inlines({ parts }: { parts: readonly Inline[] }) {
  return (
    <>
      {parts.map((part) => (
        <InlineView part={part} />
      ))}
    </>
  );
}

function InlineView({ part }: { part: Inline }) {
  switch (part.kind) {
    case "text":
      return <Text text={part.text} />;
    case "code":
      return <code dir="auto">{part.text}</code>;
    case "emphasis":
      return (
        <em>
          <Inlines parts={part.children} />
        </em>
      );
    case "strong":
      return (
        <strong>
          <Inlines parts={part.children} />
        </strong>
      );
    case "strike":
      return (
        <del>
          <Inlines parts={part.children} />
        </del>
      );
    case "link":
      return (
        <a
          href={part.address}
          target="_blank"
          rel="noopener noreferrer nofollow"
          // The words of a link may claim anything; this is where it leads.
          title={part.address}
        >
          <Inlines parts={part.children} />
        </a>
      );
  }
}

/** Text with the names of people and rooms told apart. */
function Text({ text }: { text: string }) {
  if (!/[@#]/.test(text)) return <>{text}</>;
  return (
    <>
      {mentions(text, names.value).map((part) => {
        switch (part.kind) {
          case "text":
            return part.text;
          case "person": {
            const is_own = part.user === undefined || part.user === ownId.value;
            return (
              <span
                class={is_own ? "mention mention-own" : "mention"}
                data-testid="mention"
                data-own={is_own}
              >
                {part.text}
              </span>
            );
          }
          case "room":
            return (
              <a class="mention" data-testid="mention-room" href={`#/rooms/${part.room}`}>
                {part.text}
              </a>
            );
        }
      })}
    </>
  );
}
