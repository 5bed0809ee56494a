// The own account: name, colour, password, sessions, and the way out.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import type { SessionEntry } from "../../generated/frames.ts";
import * as accounts from "../../http/accounts.ts";
import { language, words } from "../../i18n/language.ts";
import { newCid } from "../../store/session.ts";
import type { Workspace } from "../../store/workspace.ts";
import { announce } from "../announcer.tsx";
import { COLOURS, hueOf } from "../avatar.tsx";
import { PasswordField } from "../password-field.tsx";
import { Dialog } from "./dialog.tsx";
import { useWish } from "./wish.ts";

export function Account({ workspace, close }: { workspace: Workspace; close(): void }) {
  const text = words.value.people.account;
  const me = workspace.me.value;
  return (
    <Dialog title={text.title} close={close}>
      <p class="hint">{text.roles[me.role]}</p>
      <Profile workspace={workspace} />
      <Password workspace={workspace} />
      <Sessions />
      <Deactivate has_password={me.has_password} />
    </Dialog>
  );
}

function Profile({ workspace }: { workspace: Workspace }) {
  const { people, errors, signUp } = words.value;
  const text = people.account;
  const me = workspace.me.value;
  const name = useRef<HTMLInputElement>(null);
  const colour = useSignal(me.colour);
  const { busy, failure, make } = useWish(signUp.refused);

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const wanted = name.current?.value.trim() ?? "";
    if (wanted === "") return;
    const wish = {
      cid: newCid(),
      ...(wanted !== me.name && { name: wanted }),
      colour: colour.value,
    };
    void make(
      () => accounts.changeMe(wish),
      () => {
        announce(text.saved);
        void workspace.askMe();
      },
    );
  };

  return (
    <form class="dialog-part" onSubmit={submit}>
      <label for="account-name">{text.name}</label>
      <input
        id="account-name"
        ref={name}
        class="field"
        data-testid="account-name"
        data-autofocus
        autocomplete="username"
        spellcheck={false}
        required
        maxLength={32}
        value={me.name}
        aria-invalid={failure.value !== undefined}
      />
      <fieldset class="colours">
        <legend>{text.colour}</legend>
        {[0, ...COLOURS].map((number) => (
          <label key={number} class="colour" style={{ "--hue": String(hueOf(me.id, number)) }}>
            <input
              type="radio"
              name="colour"
              checked={colour.value === number}
              aria-label={number === 0 ? text.colourAutomatic : text.colourOf(number)}
              onChange={() => {
                colour.value = number;
              }}
            />
            <span class="avatar" aria-hidden="true">
              {number === 0 ? "A" : ""}
            </span>
          </label>
        ))}
      </fieldset>
      <p class="hint hint-error" hidden={failure.value === undefined}>
        {failure.value === errors.name_taken ? errors.name_taken : failure.value}
      </p>
      <button
        type="submit"
        class="button button-small"
        data-testid="account-save"
        aria-disabled={busy.value}
      >
        {text.save}
      </button>
    </form>
  );
}

function Password({ workspace }: { workspace: Workspace }) {
  const { account: text, signIn } = words.value.people;
  const { has_password } = workspace.me.value;
  const current = useRef<HTMLInputElement>(null);
  const next = useRef<HTMLInputElement>(null);
  const { busy, failure, make } = useWish(signIn.passwordRefused);

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const wish = {
      cid: newCid(),
      password: next.current?.value ?? "",
      ...(has_password && { current: current.current?.value ?? "" }),
    };
    void make(
      () => accounts.changePassword(wish),
      () => {
        for (const field of [current, next]) if (field.current !== null) field.current.value = "";
        announce(text.passwordSaved);
        void workspace.askMe();
      },
    );
  };

  return (
    <form class="dialog-part" onSubmit={submit}>
      <h3>{text.password}</h3>
      {!has_password && <p class="warning">{text.passwordMissing}</p>}
      {has_password && (
        <PasswordField
          id="account-current"
          field={current}
          label={text.current}
          is_new={false}
          testid="account-current"
        />
      )}
      <PasswordField
        id="account-password"
        field={next}
        label={text.next}
        hint={`${signIn.passwordHint} ${text.othersEnd}`}
        is_new
        testid="account-password"
      />
      <p class="hint hint-error" data-testid="password-failure" hidden={failure.value === undefined}>
        {failure.value}
      </p>
      <button
        type="submit"
        class="button button-small"
        data-testid="account-set-password"
        aria-disabled={busy.value}
      >
        {has_password ? text.changePassword : text.setPassword}
      </button>
    </form>
  );
}

function Sessions() {
  const text = words.value.people.account;
  const found = useSignal<readonly SessionEntry[]>([]);
  const { failure, make } = useWish();
  const load = () =>
    make(accounts.sessions, (sessions) => {
      found.value = sessions;
    });
  useEffect(() => void load(), []);

  const revoke = (session: SessionEntry) =>
    make(
      () => accounts.revokeSession(session.id),
      () => {
        found.value = found.value.filter((one) => one.id !== session.id);
        announce(text.revoked);
      },
    );
  const format = new Intl.DateTimeFormat(language.value, {
    dateStyle: "medium",
    timeStyle: "short",
  });

  return (
    <section class="dialog-part">
      <h3>{text.sessions}</h3>
      <p class="hint hint-error" hidden={failure.value === undefined}>
        {failure.value}
      </p>
      <ul class="browse-list" data-testid="sessions">
        {found.value.map((session) => {
          const device = session.device === "" ? text.unknownDevice : session.device;
          return (
            <li key={session.id}>
              <span class="browse-name">
                {device}
                <span class="browse-members">
                  {text.since(format.format(session.created_ms))}
                  {session.current && ` · ${text.thisSession}`}
                </span>
              </span>
              {!session.current && (
                <button
                  type="button"
                  class="button button-small"
                  data-testid="revoke-session"
                  aria-label={text.revokeSession(device)}
                  onClick={() => void revoke(session)}
                >
                  {text.revoke}
                </button>
              )}
            </li>
          );
        })}
      </ul>
    </section>
  );
}

/** Two steps: the button opens what it would do, and the second one does it. */
function Deactivate({ has_password }: { has_password: boolean }) {
  const text = words.value.people.account;
  const is_open = useSignal(false);
  const current = useRef<HTMLInputElement>(null);
  const { busy, failure, make } = useWish();

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const typed = current.current?.value;
    // The socket closes with the verdict, which leads to the first screen.
    void make(() =>
      accounts.deactivate({ cid: newCid(), ...(typed !== undefined && { current: typed }) }),
    );
  };

  if (!is_open.value)
    return (
      <section class="dialog-part">
        <button
          type="button"
          class="button button-small"
          data-testid="deactivate"
          onClick={() => {
            is_open.value = true;
          }}
        >
          {text.deactivate}
        </button>
      </section>
    );
  return (
    <form class="dialog-part" onSubmit={submit}>
      <p class="warning">{text.deactivateText}</p>
      {has_password && (
        <PasswordField
          id="deactivate-current"
          field={current}
          label={text.current}
          is_new={false}
          testid="deactivate-current"
        />
      )}
      <p class="hint hint-error" hidden={failure.value === undefined}>
        {failure.value}
      </p>
      <button
        type="submit"
        class="button button-small button-danger"
        data-testid="deactivate-confirm"
        aria-disabled={busy.value}
      >
        {text.deactivate}
      </button>
    </form>
  );
}
