// The emoji that people react with most, loaded when somebody wants one. Any other can be typed or
// pasted, with the picker of the system for instance.

import { useLayoutEffect, useRef } from "preact/hooks";

import { words } from "../i18n/language.ts";

const EMOJI = [
  ..."👍👎🙏👏🙌💪👀✅❌🎉🔥🚀💯💡🐛🚧😀😄😂🤣😊😍🥰😎🤔😮😢😭😡😅😉🙃🤯🥳😴🤝👋🫡💔⭐🍕🍰🍺🎂🌈🌱🐢🦀",
  "❤️",
  "☕",
  "⚠️",
];

interface EmojiPickerProps {
  pick(emoji: string): void;
  cancel(): void;
}

export default function EmojiPicker({ pick, cancel }: EmojiPickerProps) {
  const grid = useRef<HTMLDivElement>(null);
  // Before it is seen: whoever sees the field types into it.
  useLayoutEffect(() => grid.current?.querySelector("button")?.focus(), []);
  const text = words.value.actions;
  return (
    <div
      ref={grid}
      class="emoji-picker"
      role="group"
      aria-label={text.emoji}
      data-testid="emoji-picker"
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          event.stopPropagation();
          cancel();
        }
        const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -8, ArrowDown: 8 }[event.key];
        if (step === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        const buttons = [...(grid.current?.querySelectorAll("button") ?? [])];
        const here = buttons.indexOf(document.activeElement as HTMLButtonElement);
        buttons[here + step]?.focus();
      }}
    >
      {EMOJI.map((emoji) => (
        <button key={emoji} type="button" data-emoji={emoji} onClick={() => pick(emoji)}>
          {emoji}
        </button>
      ))}
      <input
        class="emoji-other"
        aria-label={text.otherEmoji}
        placeholder={text.otherEmoji}
        maxLength={16}
        onKeyDown={(event) => {
          if (event.key === "Escape") return;
          event.stopPropagation();
          const emoji = event.currentTarget.value.trim();
          if (event.key === "Enter" && emoji !== "") pick(emoji);
        }}
      />
    </div>
  );
}
