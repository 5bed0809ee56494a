// Goal: what people write in a chat is read as they mean it; what they do not mean as markup
// stays as typed; and no text, however built, takes long or fails.

import assert from "node:assert/strict";
import test from "node:test";

import fc from "fast-check";

import { safeAddress } from "../src/markdown/address.ts";
import { type Block, type Inline, parse } from "../src/markdown/parse.ts";
import { isLong } from "../src/view/fold.ts";

/** A short notation: `p(a em(b))`. */
function outline(blocks: readonly Block[]): string {
  return blocks.map(ofBlock).join(" ");
}

function ofBlock(block: Block): string {
  switch (block.kind) {
    case "paragraph":
      return `p(${ofInlines(block.children)})`;
    case "heading":
      return `h(${ofInlines(block.children)})`;
    case "code":
      return `pre:${block.language ?? ""}(${block.text})`;
    case "quote":
      return `quote(${outline(block.children)})`;
    case "list": {
      const box = { undefined: "", true: "[x]", false: "[ ]" };
      const items = block.items.map(
        (item) => `${box[`${item.checked}`]}${outline(item.children)}`,
      );
      return `${block.start === undefined ? "ul" : `ol${block.start}`}(${items.join("; ")})`;
    }
    case "table":
      return `table(${[block.head, ...block.rows]
        .map((row) => row.map(ofInlines).join("|"))
        .join(" / ")})`;
    case "rule":
      return "rule";
  }
}

function ofInlines(parts: readonly Inline[]): string {
  return parts
    .map((part) => {
      if (part.kind === "text") return part.text;
      if (part.kind === "code") return `code(${part.text})`;
      if (part.kind === "link") return `a:${part.address}(${ofInlines(part.children)})`;
      return `${part.kind}(${ofInlines(part.children)})`;
    })
    .join("");
}

function check(text: string, wanted: string): void {
  assert.equal(outline(parse(text)), wanted, JSON.stringify(text));
}

test("emphasis, code, links", () => {
  check("a *b* **c** ~~d~~ `e *f*`", "p(a emphasis(b) strong(c) strike(d) code(e *f*))");
  check("snake_case_name and 2*3*4", "p(snake_case_name and 2emphasis(3)4)");
  check("[a](https://a.example/b)", "p(a:https://a.example/b(a))");
  check("see https://a.example/b.", "p(see a:https://a.example/b(https://a.example/b).)");
  check("me@a.example", "p(a:mailto:me@a.example(me@a.example))");
  check("![cat](https://a.example/c.png)", "p(a:https://a.example/c.png(cat))");
});

test("lines stay lines, paragraphs are apart", () => {
  check("one\ntwo", "p(one\ntwo)");
  check("one\n\ntwo", "p(one) p(two)");
  check("title\n---", "p(title) rule");
  check("# title", "h(title)");
  check("#room", "p(#room)");
});

test("code keeps every character", () => {
  check("```rust\nfn f() {}\n\n  <b>\n```", "pre:rust(fn f() {}\n\n  <b>)");
  check("```\nx", "pre:(x)");
  check("    indented", "pre:(indented)");
});

test("lists, boxes, quotes, tables", () => {
  check("- a\n- b\n  - c", "ul(p(a); p(b) ul(p(c)))");
  check("3. a\n4. b", "ol3(p(a); p(b))");
  check("- [x] a\n- [ ] b", "ul([x]p(a); [ ]p(b))");
  check("> a\n> b\n\nc", "quote(p(a\nb)) p(c)");
  check("| a | b |\n|---|--:|\n| 1 | *2* |", "table(a|b / 1|emphasis(2))");
});

test("what is no Markdown of ours stays as typed", () => {
  check("<b>x</b>", "p(<b>x</b>)");
  check("<div>\n\n*x*\n\n</div>", "p(<div>) p(emphasis(x)) p(</div>)");
  check("a &amp; b &lt;", "p(a &amp; b &lt;)");
  check("[a](javascript:alert(1))", "p([a](javascript:alert(1)))");
  check("[a]: https://a.example", "p([a]: a:https://a.example/(https://a.example))");
  check("\\*a\\*", "p(*a*)");
});

test("only addresses of the web and of mail, and none that hide where they lead", () => {
  for (const good of ["https://a.example/", "http://a.example/x?y#z", "mailto:a@b.example"])
    assert.equal(safeAddress(good), good);
  for (const bad of [
    "javascript:alert(1)",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,x",
    "//a.example",
    "/api/v1/sign-out",
    "https://good.example@evil.example/",
    "https://",
    "",
  ])
    assert.equal(safeAddress(bad), undefined, bad);
});

test("property: never throws, and every word of a plain text is there", () => {
  fc.assert(fc.property(fc.string({ maxLength: 400 }), (text) => void parse(text)));
  const word = fc.stringMatching(/^[a-z]{1,8}$/);
  fc.assert(
    fc.property(fc.array(word, { minLength: 1 }), (words) => {
      check(words.join(" "), `p(${words.join(" ")})`);
    }),
  );
});

test("texts that are built to take long are as quick as others", () => {
  const bytes = 16 * 1024;
  const fill = (piece: string) => piece.repeat(Math.floor(bytes / piece.length));
  const hostile = [
    ">", "> ", "- ", "1. ", "*", "**a", "_", "~~", "`", "[", "![", "](", "[a](", "<", "<a ", "&",
    "\\", "|", "|a", "\n", " \n", "*a _b ", "a@", "http://", "www.", "@", "#", ":", "(", "[[]](",
    "```\n", "- a\n  ", "> a\n", "| a |\n|--|\n", "x\n---\n", "_a*", "***", "a**b", "<!--", "]]>",
  ].map(fill);
  let slowest = { took: 0, text: "" };
  for (const text of hostile) {
    const began = performance.now();
    parse(text);
    const took = performance.now() - began;
    if (took > slowest.took) slowest = { took, text: text.slice(0, 8) };
    assert.ok(took < 5_000, `${JSON.stringify(text.slice(0, 12))}…: ${took.toFixed(0)} ms`);
  }
  console.log(`slowest of ${hostile.length} texts of 16 KiB: ${slowest.text}…, ${slowest.took.toFixed(0)} ms`);
});

test("long messages fold", () => {
  assert.equal(isLong("x\n".repeat(20)), false);
  assert.equal(isLong("x\n".repeat(24)), true);
  assert.equal(isLong("x".repeat(2_001)), true);
});
