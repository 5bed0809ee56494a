// From the text of a message to a tree of nodes: the Markdown that people write in a chat, and
// nothing that a browser would interpret. HTML in a message is text.
//
// The lexer of `marked` does the reading; of its output only what is named here goes on, so that
// a new kind of token can never become a new kind of element. Left out on purpose: HTML, images
// (a link instead), reference definitions (the text would vanish) and underlined headings (a line
// of hyphens is a line of hyphens).
//
// Pure. Tests: test/markdown.test.ts, test/xss.test.ts

import { Lexer, type MarkedToken, type Token, Tokenizer, type Tokens } from "marked";

import { safeAddress } from "./address.ts";

export type Inline =
  | { kind: "text"; text: string }
  | { kind: "code"; text: string }
  | { kind: "emphasis" | "strong" | "strike"; children: readonly Inline[] }
  | { kind: "link"; address: string; children: readonly Inline[] };

export type Align = "left" | "center" | "right" | undefined;

export interface ListItem {
  /** A box before it, ticked or not. */
  checked: boolean | undefined;
  children: readonly Block[];
}

export type Block =
  | { kind: "paragraph" | "heading"; children: readonly Inline[] }
  | { kind: "code"; text: string; language: string | undefined }
  | { kind: "quote"; children: readonly Block[] }
  | { kind: "list"; start: number | undefined; items: readonly ListItem[] }
  | {
      kind: "table";
      align: readonly Align[];
      head: readonly (readonly Inline[])[];
      rows: readonly (readonly (readonly Inline[])[])[];
    }
  | { kind: "rule" };

/** Quotes and lists deeper than this are no text that a person wrote: shown as it was typed. */
const DEPTH_MAX = 12;
/** `marked` calls itself for each level: whoever asks for more gets their text as it was typed. */
const TOO_DEEP = new RegExp(`^(?:[ \\t]*(?:>|[-*+]|\\d{1,9}[.)])[ \\t]*){${DEPTH_MAX + 1}}`, "m");

/**
 * So many places where emphasis may begin are looked at. Each look goes through the rest of the
 * paragraph, so that without a limit 16 KiB of `_a*` take seconds.
 */
const EMPHASIS_MAX = 128;

class ChatTokenizer extends Tokenizer {
  private looks = 0;

  override emStrong(...args: Parameters<Tokenizer["emStrong"]>) {
    if (!/^[*_]/.test(args[0])) return undefined;
    this.looks += 1;
    return this.looks > EMPHASIS_MAX ? undefined : super.emStrong(...args);
  }
  override del(...args: Parameters<Tokenizer["del"]>) {
    if (!args[0].startsWith("~")) return undefined;
    this.looks += 1;
    return this.looks > EMPHASIS_MAX ? undefined : super.del(...args);
  }
  /**
   * Text up to where something else may begin. The lexer's own pattern looks ahead for addresses
   * of mail at each character, which takes seconds for 16 KiB without a space.
   */
  override inlineText(src: string): Tokens.Text | undefined {
    const raw = /^(?:[^\S\n]+(?=\S)|[^\s\\<![`*~_(:"']+|[\s\S])/.exec(src)?.[0];
    return raw === undefined ? undefined : { type: "text", raw, text: raw, escaped: false };
  }
  override url(src: string) {
    return /^(?:https?:|www\.|[\w.+-]{1,64}@)/i.test(src) ? super.url(src) : undefined;
  }
  override html() {
    return undefined;
  }
  override tag() {
    return undefined;
  }
  override def() {
    return undefined;
  }
  override reflink() {
    return undefined;
  }
  override lheading() {
    return undefined;
  }
}

/** Never throws; what cannot be read as Markdown is one paragraph of text. */
export function parse(text: string): readonly Block[] {
  if (TOO_DEEP.test(text)) return plain(text);
  try {
    const lexer = new Lexer({ gfm: true, breaks: true, tokenizer: new ChatTokenizer() });
    return blocks(lexer.lex(text), 0);
  } catch {
    return plain(text);
  }
}

function plain(text: string): readonly Block[] {
  return [{ kind: "paragraph", children: [{ kind: "text", text }] }];
}

function blocks(tokens: readonly Token[], depth: number): Block[] {
  return (tokens as readonly MarkedToken[]).flatMap((token) => block(token, depth));
}

function block(token: MarkedToken, depth: number): Block[] {
  if (depth > DEPTH_MAX) return [...plain(token.raw)];
  switch (token.type) {
    case "space":
    case "checkbox":
      return [];
    case "paragraph":
      return [{ kind: "paragraph", children: inlines(token.tokens) }];
    case "heading":
      return [{ kind: "heading", children: inlines(token.tokens) }];
    case "code":
      return [{ kind: "code", text: token.text, language: languageOf(token.lang) }];
    case "blockquote":
      return [{ kind: "quote", children: blocks(token.tokens, depth + 1) }];
    case "list":
      return [list(token as Tokens.List, depth)];
    case "table":
      return [table(token as Tokens.Table)];
    case "hr":
      return [{ kind: "rule" }];
    case "text":
      return [{ kind: "paragraph", children: inlines(token.tokens ?? [token]) }];
    default:
      return [...plain(token.raw)];
  }
}

function list(token: Tokens.List, depth: number): Block {
  return {
    kind: "list",
    start: token.ordered ? Number(token.start) || 0 : undefined,
    items: token.items.map((item) => ({
      checked: item.task ? item.checked === true : undefined,
      children: blocks(item.tokens, depth + 1),
    })),
  };
}

function table(token: Tokens.Table): Block {
  return {
    kind: "table",
    align: token.align.map((align) => align ?? undefined),
    head: token.header.map((cell) => inlines(cell.tokens)),
    rows: token.rows.map((row) => row.map((cell) => inlines(cell.tokens))),
  };
}

function inlines(tokens: readonly Token[]): Inline[] {
  return merged((tokens as readonly MarkedToken[]).flatMap(inline));
}

function inline(token: MarkedToken): Inline[] {
  switch (token.type) {
    case "escape":
      return [{ kind: "text", text: token.text }];
    case "text":
      return token.tokens === undefined
        ? [{ kind: "text", text: token.text }]
        : inlines(token.tokens);
    case "br":
      // A line break is a character, here as in the field where it was typed.
      return [{ kind: "text", text: "\n" }];
    case "codespan":
      return [{ kind: "code", text: token.text }];
    case "em":
      return [{ kind: "emphasis", children: inlines(token.tokens) }];
    case "strong":
      return [{ kind: "strong", children: inlines(token.tokens) }];
    case "del":
      return [{ kind: "strike", children: inlines(token.tokens) }];
    case "link":
      return link(token.href, inlines(token.tokens), token.raw);
    case "image":
      return link(token.href, [{ kind: "text", text: token.text || token.href }], token.raw);
    case "checkbox":
      return [];
    default:
      return [{ kind: "text", text: token.raw }];
  }
}

/** An address of another scheme stays what was typed. */
function link(href: string, children: readonly Inline[], raw: string): Inline[] {
  const address = safeAddress(href);
  return address === undefined
    ? [{ kind: "text", text: raw }]
    : [{ kind: "link", address, children }];
}

/** One piece of text where several follow each other: a name may have been cut by the lexer. */
function merged(parts: readonly Inline[]): Inline[] {
  const result: Inline[] = [];
  for (const part of parts) {
    const last = result.at(-1);
    if (part.kind === "text" && last?.kind === "text")
      result[result.length - 1] = { kind: "text", text: last.text + part.text };
    else result.push(part);
  }
  return result;
}

/** "rust ignore" names the language first. */
function languageOf(info: string | undefined): string | undefined {
  return /^[\w+#.-]{1,32}/.exec(info ?? "")?.[0].toLowerCase();
}
