// Who may make an account here, and the links with which one may.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import type { InvitationEntry, SettingsAnswer, SignUpMode } from "../../generated/frames.ts";
import * as accounts from "../../http/accounts.ts";
import { words } from "../../i18n/language.ts";
import { invitationAddress } from "../../store/route.ts";
import { makeSecret, newCid } from "../../store/session.ts";
import type { Workspace } from "../../store/workspace.ts";
import { announce } from "../announcer.tsx";
import { copyToClipboard } from "../clipboard.ts";
import type { DialogName } from "../shell.tsx";
import { Dialog } from "./dialog.tsx";
import { useWish } from "./wish.ts";

const MODES: readonly SignUpMode[] = ["open", "invitation", "closed"];
const USES_MAX = 1000;

interface SignUpsProps {
  workspace: Workspace;
  close(): void;
  ask(dialog: DialogName): void;
}

export function SignUps({ workspace, close, ask }: SignUpsProps) {
  const text = words.value.people.signUps;
  return (
    <Dialog title={text.title} close={close}>
      {workspace.me.value.role === "owner" && <Mode />}
      <Links />
      <button
        type="button"
        class="button button-small"
        data-testid="manage-accounts"
        onClick={() => ask("accounts")}
      >
        {words.value.people.accounts.open}
      </button>
    </Dialog>
  );
}

function Mode() {
  const text = words.value.people.signUps;
  const now = useSignal<SettingsAnswer | undefined>(undefined);
  const { failure, make } = useWish();
  useEffect(() => {
    void make(accounts.settings, (settings) => {
      now.value = settings;
    });
  }, []);
  const choose = (sign_up: SignUpMode) =>
    make(
      () => accounts.changeSettings({ cid: newCid(), sign_up }),
      () => {
        now.value = { has_accounts: true, sign_up };
      },
    );
  return (
    <fieldset class="choices dialog-part" data-testid="sign-up-mode">
      <legend>{text.who}</legend>
      {MODES.map((mode) => (
        <label key={mode}>
          <input
            type="radio"
            name="sign-up-mode"
            value={mode}
            checked={now.value?.sign_up === mode}
            onChange={() => void choose(mode)}
          />
          {text.modes[mode]}
        </label>
      ))}
      <p class="hint hint-error" hidden={failure.value === undefined}>
        {failure.value}
      </p>
    </fieldset>
  );
}

function Links() {
  const { signUps: text, account } = words.value.people;
  const uses = useRef<HTMLInputElement>(null);
  const link = useSignal<string | undefined>(undefined);
  const found = useSignal<readonly InvitationEntry[]>([]);
  const listing = useWish();
  const { busy, failure, make } = useWish();
  const load = () =>
    listing.make(accounts.invitations, (invitations) => {
      found.value = invitations;
    });
  useEffect(() => void load(), []);

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const secret = makeSecret();
    const count = Number(uses.current?.value ?? 1);
    void make(
      () =>
        accounts.createInvitation({ cid: newCid(), secret, uses: count, role: "member" }),
      () => {
        link.value = invitationAddress(secret);
        void load();
      },
    );
  };
  const copy = async (address: string) => {
    if (await copyToClipboard(address)) announce(text.copied);
  };
  const revoke = (id: number) => make(() => accounts.revokeInvitation(id), () => void load());

  return (
    <>
      <form class="dialog-part" onSubmit={submit}>
        <label for="invitation-uses">{text.uses}</label>
        <div class="field-and-button">
          <input
            id="invitation-uses"
            ref={uses}
            class="field"
            data-testid="invitation-uses"
            type="number"
            inputMode="numeric"
            min={1}
            max={USES_MAX}
            defaultValue="10"
            required
          />
          <button
            type="submit"
            class="button button-primary"
            data-testid="invitation-create"
            aria-disabled={busy.value}
          >
            {text.create}
          </button>
        </div>
        <p class="hint hint-error" hidden={failure.value === undefined}>
          {failure.value}
        </p>
        {link.value !== undefined && (
          <div class="field-row">
            <label for="invitation-link">{text.link}</label>
            <div class="field-and-button">
              <input
                id="invitation-link"
                class="field"
                data-testid="invitation-link"
                readOnly
                value={link.value}
                aria-describedby="invitation-link-hint"
                onFocus={(event) => event.currentTarget.select()}
              />
              <button
                type="button"
                class="button"
                onClick={() => void copy(link.value ?? "")}
              >
                {text.copy}
              </button>
            </div>
            <p id="invitation-link-hint" class="hint">
              {text.linkHint}
            </p>
          </div>
        )}
      </form>
      <section class="dialog-part">
        <h3>{text.list}</h3>
        <ul class="browse-list">
          {found.value.map((one) => {
            const entry = text.entry(account.roles[one.role], one.uses_left, one.created_by);
            return (
              <li key={one.id}>
                <span class="browse-name">{entry}</span>
                <button
                  type="button"
                  class="button button-small"
                  aria-label={text.revokeOne(entry)}
                  onClick={() => void revoke(one.id)}
                >
                  {text.revoke}
                </button>
              </li>
            );
          })}
        </ul>
        {found.value.length === 0 && <p class="hint">{text.none}</p>}
      </section>
    </>
  );
}
