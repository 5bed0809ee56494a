// For what is outside of the composer and writes into it: the palette, a key.

/** The text field of the room that is open, if anybody may write there. */
export function composerField(): HTMLTextAreaElement | null {
  return document.querySelector<HTMLTextAreaElement>('[data-region="composer"] textarea');
}

/** Writes `@name ` where the caret is, as if it had been typed. */
export function mentionInComposer(name: string): void {
  const field = composerField();
  if (field === null) return;
  field.focus();
  const before = field.value.slice(0, field.selectionStart);
  const space = before === "" || /\s$/.test(before) ? "" : " ";
  field.setRangeText(`${space}@${name} `, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new InputEvent("input", { bubbles: true }));
}
