// Which messages show only their beginning at first. Pure. Tests: test/markdown.test.ts

const LINES_MAX = 24;
/** About as much as 24 lines of 80 characters. */
const CHARS_MAX = 2_000;

export function isLong(text: string): boolean {
  if (text.length > CHARS_MAX) return true;
  let lines = 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines += 1;
  return lines > LINES_MAX;
}
