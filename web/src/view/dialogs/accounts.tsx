// All accounts, for those who manage them: roles, deactivation, a new password for who forgot it.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import type { AccountRole, PersonEntry } from "../../generated/frames.ts";
import * as accounts from "../../http/accounts.ts";
import { words } from "../../i18n/language.ts";
import { browserRandomBytes } from "../../outbox/cid.ts";
import { newCid } from "../../store/session.ts";
import type { Workspace } from "../../store/workspace.ts";
import { announce } from "../announcer.tsx";
import { Avatar } from "../avatar.tsx";
import { copyToClipboard } from "../clipboard.ts";
import { Dialog } from "./dialog.tsx";
import { useWish } from "./wish.ts";

const ROLES: readonly AccountRole[] = ["owner", "admin", "moderator", "member", "guest"];
/** Without letters that are taken for others. */
const LETTERS = "abcdefghjkmnpqrstuvwxyz23456789";

/** Four groups of four: 79 bits, and it can be read out. */
function makePassword(): string {
  const groups: string[] = [];
  while (groups.length < 4) {
    // Only bytes below a multiple of the number of letters: all letters are equally likely.
    const bytes = [...browserRandomBytes(16)].filter((byte) => byte < 8 * LETTERS.length);
    const letters = bytes.slice(0, 4).map((byte) => LETTERS[byte % LETTERS.length]);
    if (letters.length === 4) groups.push(letters.join(""));
  }
  return groups.join("-");
}

export function Accounts({ workspace, close }: { workspace: Workspace; close(): void }) {
  const text = words.value.people.accounts;
  const wanted = useSignal("");
  const given = useSignal<{ name: string; password: string } | undefined>(undefined);
  useEffect(() => void workspace.askPeople(), []);
  const found = workspace.people.value.filter((person) =>
    person.name.toLocaleLowerCase().includes(wanted.value.trim().toLocaleLowerCase()),
  );
  return (
    <Dialog title={text.title} close={close}>
      <label for="accounts-find">{text.find}</label>
      <input
        id="accounts-find"
        class="field"
        data-testid="accounts-find"
        data-autofocus
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => {
          wanted.value = event.currentTarget.value;
        }}
      />
      {given.value !== undefined && (
        <Given name={given.value.name} password={given.value.password} />
      )}
      <ul class="accounts-list" data-testid="accounts">
        {found.map((person) => (
          <Entry
            key={person.id}
            workspace={workspace}
            person={person}
            given={(password) => {
              given.value = { name: person.name, password };
            }}
          />
        ))}
      </ul>
    </Dialog>
  );
}

function Given({ name, password }: { name: string; password: string }) {
  const { accounts: text, signUps } = words.value.people;
  const copy = async () => {
    if (await copyToClipboard(password)) announce(signUps.copied);
  };
  return (
    <div class="dialog-part" role="status">
      <label for="accounts-password">{text.resetDone(name)}</label>
      <div class="field-and-button">
        <input
          id="accounts-password"
          class="field"
          data-testid="accounts-password"
          readOnly
          value={password}
          aria-describedby="accounts-password-hint"
          onFocus={(event) => event.currentTarget.select()}
        />
        <button type="button" class="button" onClick={() => void copy()}>
          {signUps.copy}
        </button>
      </div>
      <p id="accounts-password-hint" class="hint">
        {text.resetHint}
      </p>
    </div>
  );
}

interface EntryProps {
  workspace: Workspace;
  person: PersonEntry;
  given(password: string): void;
}

function Entry({ workspace, person, given }: EntryProps) {
  const { accounts: text, account } = words.value.people;
  const { busy, failure, make } = useWish();
  const me = workspace.me.value;
  const is_me = person.id === me.id;
  const may_manage =
    me.role === "owner" || (me.role === "admin" && rank(person.role) > rank("admin"));
  const roles = ROLES.filter((role) => me.role === "owner" || rank(role) > rank("admin"));
  const { id, name, active } = person;

  const changed = () => {
    announce(text.changed);
    void workspace.askPeople();
  };
  const setRole = (role: AccountRole) =>
    make(() => accounts.changePerson(id, { cid: newCid(), role }), changed);
  const setActive = () =>
    make(() => accounts.changePerson(id, { cid: newCid(), active: !active }), changed);
  const reset = () => {
    const password = makePassword();
    return make(
      () => accounts.resetPassword(id, { cid: newCid(), password }),
      () => given(password),
    );
  };

  return (
    <li data-person={name} data-active={active}>
      <Avatar id={id} name={name} colour={person.colour} />
      <span class="people-name">
        {name}
        {!active && <span class="hint"> {text.inactive}</span>}
      </span>
      {may_manage && person.role !== "bot" ? (
        <select
          class="field field-small"
          data-testid="account-role"
          aria-label={text.roleOf(name)}
          aria-disabled={busy.value}
          value={person.role}
          onChange={(event) => void setRole(event.currentTarget.value as AccountRole)}
        >
          {roles.map((role) => (
            <option key={role} value={role} selected={role === person.role}>
              {account.roles[role]}
            </option>
          ))}
        </select>
      ) : (
        <span class="hint">{account.roles[person.role]}</span>
      )}
      {may_manage && !is_me && (
        <span class="accounts-actions">
          <button
            type="button"
            class="button button-small"
            data-testid="account-reset"
            aria-label={text.resetOne(name)}
            aria-disabled={busy.value}
            onClick={() => void reset()}
          >
            {text.reset}
          </button>
          <button
            type="button"
            class="button button-small"
            data-testid="account-active"
            aria-label={active ? text.deactivateOne(name) : text.activateOne(name)}
            aria-disabled={busy.value}
            onClick={() => void setActive()}
          >
            {active ? text.deactivate : text.activate}
          </button>
        </span>
      )}
      <p class="hint hint-error" hidden={failure.value === undefined}>
        {failure.value}
      </p>
    </li>
  );
}

/** The lower, the more it may. */
function rank(role: AccountRole): number {
  return role === "bot" ? ROLES.length : ROLES.indexOf(role);
}
