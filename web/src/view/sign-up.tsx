// The first screen: a name, and the proof that the cluster stands.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { words } from "../i18n/language.ts";
import { askCluster, firstCluster, signUp } from "../store/session.ts";
import { RequestFailed } from "../sync/history.ts";
import { announce } from "./announcer.tsx";
import { ClusterDots } from "./cluster-chip.tsx";
import { Logo } from "./icons.tsx";
import { LanguageSwitch } from "./language-switch.tsx";
import { summary } from "./replicas.ts";

const CLUSTER_EVERY_MS = 3_000;

export function SignUp({ had_ended }: { had_ended: boolean }) {
  const text = words.value.signUp;
  const busy = useSignal(false);
  const failure = useSignal<string | undefined>(undefined);
  const field = useRef<HTMLInputElement>(null);

  useEffect(() => {
    field.current?.focus();
    const timer = setInterval(() => void askCluster(), CLUSTER_EVERY_MS);
    return () => clearInterval(timer);
  }, []);

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const name = field.current?.value.trim() ?? "";
    if (name === "" || busy.value) return;
    busy.value = true;
    failure.value = undefined;
    try {
      await signUp(name);
    } catch (error) {
      failure.value = reason(error);
      announce(failure.value);
    } finally {
      busy.value = false;
    }
  };

  return (
    <main class="sign-up">
      <form class="sign-up-card" onSubmit={submit}>
        <div class="sign-up-brand">
          <Logo />
          <span>Chatterbox</span>
        </div>
        <h1>{text.title}</h1>
        <p class="lead">{had_ended ? text.ended : text.lead}</p>
        <label for="name">{text.name}</label>
        <input
          id="name"
          ref={field}
          class="field"
          data-testid="sign-up-name"
          autocomplete="nickname"
          autocapitalize="words"
          spellcheck={false}
          required
          maxLength={32}
          aria-describedby="name-hint"
          aria-invalid={failure.value !== undefined}
        />
        <p id="name-hint" class={failure.value === undefined ? "hint" : "hint hint-error"}>
          {failure.value ?? text.hint}
        </p>
        <button
          type="submit"
          class="button button-primary button-wide"
          data-testid="sign-up-submit"
          aria-disabled={busy.value}
        >
          {busy.value ? text.busy : text.submit}
        </button>
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

/** Never the gateway's own words: they are English. */
function reason(error: unknown): string {
  if (!(error instanceof RequestFailed)) return String(error);
  const { errors, signUp: text } = words.value;
  return error.code === "bad_request" ? text.refused : errors[error.code];
}
