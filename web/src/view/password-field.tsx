// A field for a password, as password managers know it.

import type { RefObject } from "preact";

const CHARS_MIN = 8;

interface PasswordFieldProps {
  id: string;
  field: RefObject<HTMLInputElement | null>;
  label: string;
  hint?: string | undefined;
  /** One that is being chosen; else the one that is set. */
  is_new: boolean;
  testid: string;
}

export function PasswordField({ id, field, label, hint, is_new, testid }: PasswordFieldProps) {
  return (
    <div class="field-row">
      <label for={id}>{label}</label>
      <input
        id={id}
        ref={field}
        class="field"
        type="password"
        data-testid={testid}
        autocomplete={is_new ? "new-password" : "current-password"}
        required
        minLength={is_new ? CHARS_MIN : undefined}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
      />
      {hint !== undefined && (
        <p id={`${id}-hint`} class="hint">
          {hint}
        </p>
      )}
    </div>
  );
}
