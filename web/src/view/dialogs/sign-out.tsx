import { words } from "../../i18n/language.ts";
import { signOut } from "../../store/session.ts";
import type { Workspace } from "../../store/workspace.ts";
import { Dialog } from "./dialog.tsx";
import { useWish } from "./wish.ts";

export function SignOut({ workspace, close }: { workspace: Workspace; close(): void }) {
  const text = words.value.signOut;
  const { busy, failure, make } = useWish();
  const waiting = workspace.outbox.value.length;
  return (
    <Dialog title={text.title} close={close}>
      <p class={workspace.me.value.has_password ? "" : "warning"}>
        {workspace.me.value.has_password ? text.back : text.text}
      </p>
      {waiting > 0 && <p class="warning">{text.waiting(waiting)}</p>}
      <p class="hint hint-error" hidden={failure.value === undefined}>
        {failure.value}
      </p>
      <div class="dialog-actions">
        <button type="button" class="button" data-autofocus onClick={close}>
          {words.value.cancel}
        </button>
        <button
          type="button"
          class="button button-danger"
          data-testid="sign-out-confirm"
          aria-disabled={busy.value}
          onClick={() => void make(() => signOut(workspace))}
        >
          {text.confirm}
        </button>
      </div>
    </Dialog>
  );
}
