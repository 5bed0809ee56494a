// Who was signed in on this device, and their rooms: what a start without a network shows.

import type { Joined, Me } from "../generated/frames.ts";

const USER = "chatterbox.last-user";

export function lastUser(): Me | undefined {
  return read<Me>(USER);
}

export function rememberUser(user: Me): void {
  write(USER, { id: user.id, name: user.name });
}

export function forgetUser(): void {
  localStorage.removeItem(USER);
}

/** Without heads: a head of yesterday is no news of today, and a restored cluster may lack it. */
export function lastRooms(user: Me): Joined[] {
  return (read<Joined[]>(roomsKey(user)) ?? []).map((room) => ({
    ...room,
    head: 0,
  }));
}

export function rememberRooms(user: Me, rooms: readonly Joined[]): void {
  write(
    roomsKey(user),
    rooms.map(({ id, name, members, system, kind, topic, archived, people }) => ({
      id,
      name,
      members,
      kind,
      ...(system === true && { system }),
      ...(topic !== "" && { topic }),
      ...(archived === true && { archived }),
      ...(people !== undefined && people.length > 0 && { people }),
    })),
  );
}

/** Under the account's prefix: signing out removes it with the drafts (device.ts). */
function roomsKey(user: Me): string {
  return `chatterbox.account.${user.id}.rooms`;
}

function read<Value>(key: string): Value | undefined {
  try {
    const stored = localStorage.getItem(key);
    return stored === null ? undefined : (JSON.parse(stored) as Value);
  } catch {
    return undefined;
  }
}

function write(key: string, value: unknown): void {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // The quota is full: the next start without a network shows less.
  }
}
