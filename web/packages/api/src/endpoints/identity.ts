import { request } from "../rest.ts";
import type { ApiKey, AuditEntry, InvitedUser, Login, Me, NewApiKey, OneTimeLink, Page, Role, Session, User } from "../schema.ts";

export interface NewAccount {
  token: string;
  /** For the first administrator only; an invited person has one. */
  username?: string;
  display_name?: string;
  password: string;
}

export interface NewUser {
  username: string;
  display_name?: string;
  role: Role;
}

export type UserPatch = Partial<Pick<User, "role" | "status" | "display_name" | "email">> & { password?: string };
export type MePatch = Partial<Pick<User, "display_name" | "email" | "preferences">>;

export const checkLink = (token: string) => request<OneTimeLink>("POST", "/api/auth/link", { body: { token } });
export const setUp = (account: NewAccount) => request<Session>("POST", "/api/auth/setup", { body: account });
export const signIn = (username: string, password: string) =>
  request<Session>("POST", "/api/auth/login", { body: { username, password } });
export const signOut = () => request<undefined>("POST", "/api/auth/logout", { body: {} });

export const readMe = (signal?: AbortSignal) => request<Me>("GET", "/api/me", signal ? { signal } : {});
export const patchMe = (patch: MePatch) => request<Me>("PATCH", "/api/me", { body: patch });
export const changePassword = (current_password: string, new_password: string) =>
  request<undefined>("POST", "/api/me/password", { body: { current_password, new_password } });

export const listLogins = () => request<Page<Login>>("GET", "/api/me/logins");
export const revokeLogin = (id: string) => request<undefined>("DELETE", `/api/me/logins/${id}`);

export const listKeys = () => request<Page<ApiKey>>("GET", "/api/keys");
export const createKey = (key: { name: string; scopes: string[]; expires_in_days?: number }) =>
  request<NewApiKey>("POST", "/api/keys", { body: key });
export const revokeKey = (id: string) => request<undefined>("DELETE", `/api/keys/${id}`);

export const listUsers = (cursor?: string) => request<Page<User>>("GET", "/api/users", { query: { cursor, limit: 50 } });
export const createUser = (user: NewUser) => request<InvitedUser>("POST", "/api/users", { body: user });
export const inviteAgain = (id: string) => request<InvitedUser>("POST", `/api/users/${id}/link`, { body: {} });
export const patchUser = (id: string, patch: UserPatch) => request<User>("PATCH", `/api/users/${id}`, { body: patch });

export const listAudit = (cursor?: string) =>
  request<Page<AuditEntry>>("GET", "/api/audit", { query: { cursor, limit: 50 } });
