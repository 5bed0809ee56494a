// Plain text with the addresses in it told apart. Only http and https: no other scheme may become
// something that a person clicks. Pure. Tests: test/linkify.test.ts

export type Part = { kind: "text"; text: string } | { kind: "link"; text: string; address: string };

const ADDRESS = /\bhttps?:\/\/[^\s<>"'`]+/gi;
/** Punctuation that ends a sentence rather than an address. */
const TRAILING = /[.,;:!?…]+$/;

export function linkify(text: string): Part[] {
  const parts: Part[] = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const shown = withoutTrailing(match[0]);
    const address = safeAddress(shown);
    if (address === undefined) continue;
    if (match.index > end) parts.push({ kind: "text", text: text.slice(end, match.index) });
    parts.push({ kind: "link", text: shown, address });
    end = match.index + shown.length;
  }
  if (end < text.length) parts.push({ kind: "text", text: text.slice(end) });
  return parts;
}

function withoutTrailing(address: string): string {
  let shown = address.replace(TRAILING, "");
  // A bracket that was opened before the address closes after it.
  for (const [open, close] of ["()", "[]", "{}"].map(
    (pair) => [pair[0] ?? "", pair[1] ?? ""] as const,
  )) {
    while (shown.endsWith(close) && shown.split(close).length > shown.split(open).length) {
      shown = shown.slice(0, -1).replace(TRAILING, "");
    }
  }
  return shown;
}

function safeAddress(text: string): string | undefined {
  try {
    const address = new URL(text);
    return address.protocol === "http:" || address.protocol === "https:" ? address.href : undefined;
  } catch {
    return undefined;
  }
}
