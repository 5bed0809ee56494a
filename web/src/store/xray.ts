// Which message is looked behind.

import { signal } from "@preact/signals";

import type { MessageEvent } from "../sync/event.ts";

export const xrayed = signal<MessageEvent | undefined>(undefined);
