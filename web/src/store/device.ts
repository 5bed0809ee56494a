// What the page remembers on this device beside the outbox: drafts and the last room. Both are
// conveniences: when the browser refuses to store them, the page works without.

import type { RoomId } from "../sync/event.ts";

const PREFIX = "chatterbox.account.";

export class DeviceMemory {
  private readonly prefix: string;

  constructor(account: string) {
    this.prefix = `${PREFIX}${account}.`;
  }

  draft(room: RoomId): string {
    return this.read(`draft.${room}`) ?? "";
  }

  setDraft(room: RoomId, text: string): void {
    this.write(`draft.${room}`, text === "" ? undefined : text);
  }

  get lastRoom(): RoomId | undefined {
    const stored = this.read("room");
    return stored === undefined ? undefined : Number(stored);
  }

  set lastRoom(room: RoomId) {
    this.write("room", String(room));
  }

  clear(): void {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(this.prefix)) localStorage.removeItem(key);
    }
  }

  private read(key: string): string | undefined {
    return localStorage.getItem(this.prefix + key) ?? undefined;
  }

  private write(key: string, value: string | undefined): void {
    try {
      if (value === undefined) localStorage.removeItem(this.prefix + key);
      else localStorage.setItem(this.prefix + key, value);
    } catch {
      // The quota is full: the draft lives as long as the page.
    }
  }
}
