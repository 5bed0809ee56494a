// Ctrl+/: the keys, and how to write.

import { words } from "../../i18n/language.ts";
import { Dialog } from "./dialog.tsx";

/** What is typed, and what it becomes. Not translated: it is the notation itself. */
const NOTATION = [
  ["**bold**", "bold"],
  ["*italic*", "italic"],
  ["~~strike~~", "strike"],
  ["`code`", "code"],
  ["```rust ⏎ … ⏎ ```", "block"],
  ["> …", "quote"],
  ["- …", "list"],
  ["[…](https://…)", "link"],
  ["@… #… :…", "names"],
] as const;

export function Help({ close }: { close(): void }) {
  const text = words.value.help;
  return (
    <Dialog title={text.title} close={close}>
      <div class="help" data-testid="help">
        <h3>{text.keysTitle}</h3>
        <dl>
          {(Object.keys(text.keys) as (keyof typeof text.keys)[]).map((key) => (
            <div key={key}>
              <dt>
                <kbd>{text.keys[key]}</kbd>
              </dt>
              <dd>{text.meaning[key]}</dd>
            </div>
          ))}
        </dl>
        <h3>{text.writing}</h3>
        <dl>
          {NOTATION.map(([typed, what]) => (
            <div key={what}>
              <dt>
                <code>{typed}</code>
              </dt>
              <dd>{text.notation[what]}</dd>
            </div>
          ))}
        </dl>
      </div>
    </Dialog>
  );
}
