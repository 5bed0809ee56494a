// A wish of a dialog: made once, busy until it is answered, with the reason when it is refused.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { words } from "../../i18n/language.ts";
import { RequestFailed } from "../../sync/history.ts";
import { announce } from "../announcer.tsx";

/** `refused`: what to say when the gateway does not accept the value; its own words are English. */
export function useWish(refused?: string) {
  const busy = useSignal(false);
  const failure = useSignal<string | undefined>(undefined);
  const is_open = useRef(true);
  useEffect(() => {
    is_open.current = true;
    return () => {
      is_open.current = false;
    };
  }, []);

  /** `then` only while the dialog is open: nobody is led to a room that they gave up waiting for. */
  const make = async <Result>(
    wish: () => Promise<Result>,
    then: (result: Result) => void = () => {},
  ) => {
    if (busy.value) return;
    busy.value = true;
    failure.value = undefined;
    try {
      const result = await wish();
      if (is_open.current) then(result);
    } catch (error) {
      failure.value = reason(error, refused);
      announce(failure.value);
    } finally {
      busy.value = false;
    }
  };

  return { busy, failure, make };
}

function reason(error: unknown, refused?: string): string {
  if (!(error instanceof RequestFailed)) return String(error);
  return (error.code === "bad_request" ? refused : undefined) ?? words.value.errors[error.code];
}
