// Which screen: nobody knows yet, nobody is signed in, or somebody is.

import { useSignalEffect } from "@preact/signals";

import { language, words } from "../i18n/language.ts";
import { session } from "../store/session.ts";
import { Announcer } from "./announcer.tsx";
import { Logo } from "./icons.tsx";
import { Shell } from "./shell.tsx";
import { SignUp } from "./sign-up.tsx";

export function App() {
  useSignalEffect(() => {
    document.documentElement.lang = language.value;
  });
  return (
    <>
      <Screen />
      <Announcer />
    </>
  );
}

function Screen() {
  const now = session.value;
  switch (now.kind) {
    case "asking":
      return (
        <main class="splash">
          <Logo />
          <p>{now.unreachable ? words.value.banner.reconnecting : ""}</p>
        </main>
      );
    case "signed-out":
      return <SignUp had_ended={now.had_ended} />;
    case "signed-in":
      // Keyed: another account shares nothing with the one before.
      return <Shell key={now.workspace.user.id} workspace={now.workspace} />;
  }
}
