// For what is outside of the composer and writes into it: the palette, a key.

/** The text field of the room that is open, if anybody may write there. */
export function composerField(): HTMLTextAreaElement | null {
  return document.querySelector<HTMLTextAreaElement>('[data-region="composer"] textarea');
}
