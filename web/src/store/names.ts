// What a name in a text may mean to the person who is signed in.

import { computed } from "@preact/signals";

import { fold, type Names } from "../markdown/mentions.ts";
import { people } from "./people.ts";
import { session } from "./session.ts";

export const names = computed<Names>(() => ({
  people: new Map([...people.value.values()].map(({ id, name }) => [fold(name), id])),
  rooms: new Map(rooms.value.map(({ id, name }) => [fold(name), id])),
}));

export const ownId = computed(() =>
  session.value.kind === "signed-in" ? session.value.workspace.user.id : undefined,
);

const rooms = computed(() =>
  session.value.kind === "signed-in" ? session.value.workspace.rooms.value : [],
);
