// A native modal dialog: focus stays inside, Esc closes, focus returns where it was.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { useLayoutEffect, useRef } from "preact/hooks";

import { words } from "../../i18n/language.ts";
import { CloseIcon } from "../icons.tsx";

interface DialogProps {
  title: string;
  close(): void;
  children: ComponentChildren;
}

export function Dialog({ title, close, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const title_id = useId();

  useLayoutEffect(() => {
    const element = dialog.current;
    const focused_before = document.activeElement;
    element?.showModal();
    element?.querySelector<HTMLElement>("[data-autofocus]")?.focus();
    return () => {
      element?.close();
      if (focused_before instanceof HTMLElement) focused_before.focus();
    };
  }, []);

  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby={title_id}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClick={(event) => {
        // The backdrop belongs to the dialog element itself, everything else to its children.
        if (event.target === dialog.current) close();
      }}
    >
      <div class="dialog-body">
        <header>
          <h2 id={title_id}>{title}</h2>
          <button type="button" class="button-icon" aria-label={words.value.close} onClick={close}>
            <CloseIcon />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
