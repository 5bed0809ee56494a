// Colours for code: highlight.js by way of `lowlight`, which gives a tree and no HTML. A chunk of
// its own. Tests: test/highlighter.test.ts

import type { ElementContent, Root } from "hast";
import { common, createLowlight } from "lowlight";

/** Text of one colour; `scope` is a class of code.css, or empty. */
export interface Segment {
  text: string;
  scope: string;
}

const lowlight = createLowlight(common);

/** Nothing for a language that is not known. The texts together are the code. */
export function highlight(code: string, language: string): readonly Segment[] | undefined {
  if (!lowlight.registered(language)) return undefined;
  return segments(lowlight.highlight(language, code).children, "");
}

function segments(nodes: Root["children"] | ElementContent[], scope: string): Segment[] {
  return nodes.flatMap((node): Segment[] => {
    if (node.type === "text") return [{ text: node.value, scope }];
    if (node.type !== "element") return [];
    return segments(node.children, scopeOf(node.properties["className"]) ?? scope);
  });
}

/** The grammar's first class, "hljs-title" for "hljs-title function_"; the style knows no finer. */
function scopeOf(names: unknown): string | undefined {
  const [first] = Array.isArray(names) ? names : [];
  return typeof first === "string" && /^hljs-[\w-]+$/.test(first) ? first : undefined;
}
