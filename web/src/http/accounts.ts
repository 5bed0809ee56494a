// Accounts, sessions and invitations over HTTP (docs/protocol.md, section 1).

import type {
  ChangeMe,
  ChangePassword,
  ChangePerson,
  ChangeSettings,
  CreateInvitation,
  Deactivate,
  InvitationEntry,
  InvitationsAnswer,
  Me,
  MeAnswer,
  PeopleAnswer,
  PersonEntry,
  ResetPassword,
  SessionEntry,
  SessionsAnswer,
  SettingsAnswer,
  SignIn,
} from "../generated/frames.ts";
import { get, request, withBody } from "./api.ts";

/** The same wish over and over makes one session. */
export async function signIn(wish: SignIn): Promise<Me> {
  return (await request<MeAnswer>("/api/v1/sign-in", withBody("POST", wish))).user;
}

export async function changeMe(wish: ChangeMe): Promise<void> {
  await request("/api/v1/me", withBody("PATCH", wish));
}

export async function changePassword(wish: ChangePassword): Promise<void> {
  await request("/api/v1/me/password", withBody("POST", wish));
}

export async function deactivate(wish: Deactivate): Promise<void> {
  await request("/api/v1/me/deactivate", withBody("POST", wish));
}

export async function sessions(): Promise<SessionEntry[]> {
  return (await get<SessionsAnswer>("/api/v1/me/sessions")).sessions;
}

export async function revokeSession(id: string): Promise<void> {
  await request(`/api/v1/me/sessions/${id}`, { method: "DELETE" });
}

export async function people(): Promise<PersonEntry[]> {
  return (await get<PeopleAnswer>("/api/v1/people")).people;
}

export async function changePerson(id: number, wish: ChangePerson): Promise<void> {
  await request(`/api/v1/people/${id}`, withBody("PATCH", wish));
}

export async function resetPassword(id: number, wish: ResetPassword): Promise<void> {
  await request(`/api/v1/people/${id}/password`, withBody("POST", wish));
}

export function settings(): Promise<SettingsAnswer> {
  return get<SettingsAnswer>("/api/v1/settings");
}

export async function changeSettings(wish: ChangeSettings): Promise<void> {
  await request("/api/v1/settings", withBody("PATCH", wish));
}

export async function invitations(): Promise<InvitationEntry[]> {
  return (await get<InvitationsAnswer>("/api/v1/invitations")).invitations;
}

export async function createInvitation(wish: CreateInvitation): Promise<void> {
  await request("/api/v1/invitations", withBody("POST", wish));
}

export async function revokeInvitation(id: number): Promise<void> {
  await request(`/api/v1/invitations/${id}`, { method: "DELETE" });
}
