// The first screen: a name and a password, and the proof that the cluster stands. Whether it makes
// an account or signs in depends on who may sign up, and on the link that led here.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { words } from "../i18n/language.ts";
import { invitation } from "../store/route.ts";
import { askCluster, askSettings, firstCluster, settings, signIn, signUp } from "../store/session.ts";
import { RequestFailed } from "../sync/history.ts";
import { announce } from "./announcer.tsx";
import { ClusterDots } from "./cluster-chip.tsx";
import { Logo } from "./icons.tsx";
import { LanguageSwitch } from "./language-switch.tsx";
import { PasswordField } from "./password-field.tsx";
import { summary } from "./replicas.ts";

const CLUSTER_EVERY_MS = 3_000;

type Way = "sign-up" | "sign-in";

export function SignUp({ had_ended }: { had_ended: boolean }) {
  const { signUp: text, people } = words.value;
  // Somebody whose session has ended has an account, most likely.
  const chosen = useSignal<Way | undefined>(had_ended ? "sign-in" : undefined);
  const busy = useSignal(false);
  const failure = useSignal<string | undefined>(undefined);
  const name = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);

  const may_sign_up = maySignUp();
  const way: Way = may_sign_up ? (chosen.value ?? "sign-up") : "sign-in";
  const makes_account = way === "sign-up";

  useEffect(() => {
    name.current?.focus();
    void askSettings();
    const timer = setInterval(() => void askCluster(), CLUSTER_EVERY_MS);
    return () => clearInterval(timer);
  }, []);

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const wanted = name.current?.value.trim() ?? "";
    const typed = password.current?.value ?? "";
    if (wanted === "" || busy.value) return;
    busy.value = true;
    failure.value = undefined;
    try {
      if (makes_account) await signUp(wanted, typed, invitation.value);
      else await signIn(wanted, typed);
    } catch (error) {
      failure.value = reason(error);
      announce(failure.value);
      if (error instanceof RequestFailed && error.code === "sign_up_closed") void askSettings();
    } finally {
      busy.value = false;
    }
  };

  const turn = () => {
    chosen.value = makes_account ? "sign-in" : "sign-up";
    failure.value = undefined;
    name.current?.focus();
  };

  return (
    <main class="sign-up">
      <form class="sign-up-card" onSubmit={submit}>
        <div class="sign-up-brand">
          <Logo />
          <span>Chatterbox</span>
        </div>
        <h1>{makes_account ? text.title : people.signIn.title}</h1>
        <p class="lead" data-testid="sign-up-lead">
          {lead(makes_account, had_ended)}
        </p>
        <label for="name">{text.name}</label>
        <input
          id="name"
          ref={name}
          class="field"
          data-testid={makes_account ? "sign-up-name" : "sign-in-name"}
          autocomplete="username"
          autocapitalize="words"
          spellcheck={false}
          required
          maxLength={32}
          aria-describedby="name-hint"
          aria-invalid={failure.value !== undefined}
        />
        <p id="name-hint" class="hint" hidden={!makes_account}>
          {text.hint}
        </p>
        <PasswordField
          id="password"
          field={password}
          label={people.signIn.password}
          hint={makes_account ? people.signIn.passwordHint : undefined}
          is_new={makes_account}
          testid={makes_account ? "sign-up-password" : "sign-in-password"}
        />
        <p class="hint hint-error" data-testid="sign-up-failure" hidden={failure.value === undefined}>
          {failure.value}
        </p>
        <button
          type="submit"
          class="button button-primary button-wide"
          data-testid={makes_account ? "sign-up-submit" : "sign-in-submit"}
          aria-disabled={busy.value}
        >
          {busy.value ? text.busy : makes_account ? text.submit : people.signIn.submit}
        </button>
        {may_sign_up && (
          <button type="button" class="button-link" data-testid="sign-up-turn" onClick={turn}>
            {makes_account ? people.signIn.to : people.signIn.toSignUp}
          </button>
        )}
      </form>
      <footer class="sign-up-footer">
        <p class="cluster-line" data-testid="cluster-line">
          {firstCluster.value !== undefined && <ClusterDots cluster={firstCluster.value} />}
          {firstCluster.value !== undefined && summary(firstCluster.value)}
        </p>
        <LanguageSwitch />
      </footer>
    </main>
  );
}

/** Until the settings are known it looks as it does for most: open. */
function maySignUp(): boolean {
  const now = settings.value;
  if (now === undefined || !now.has_accounts || now.sign_up === "open") return true;
  return now.sign_up === "invitation" && invitation.value !== undefined;
}

function lead(makes_account: boolean, had_ended: boolean): string {
  const { signUp: text, people } = words.value;
  const now = settings.value;
  if (makes_account && invitation.value !== undefined) return people.signIn.invited;
  if (makes_account && now?.has_accounts === false) return `${text.lead} ${people.signIn.first}`;
  if (had_ended) return text.ended;
  if (now?.sign_up === "closed") return people.signIn.closed;
  if (now?.sign_up === "invitation") return people.signIn.invitationOnly;
  return text.lead;
}

/** Never the gateway's own words: they are English. */
function reason(error: unknown): string {
  if (!(error instanceof RequestFailed)) return String(error);
  const { errors, signUp: text, people } = words.value;
  if (error.code === "bad_request") return text.refused;
  if (error.code === "sign_up_closed" && invitation.value !== undefined)
    return people.signIn.badInvitation;
  return errors[error.code];
}
