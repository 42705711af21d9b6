/** Who is signed in, what they may do and how they like it. */
import { create } from "zustand";
import type { Me, Permission, User } from "../schema.ts";

interface CurrentUser {
  profile: User | undefined;
  preferences: Record<string, unknown>;
  permissions: readonly Permission[];
}

const NOBODY: CurrentUser = { profile: undefined, preferences: {}, permissions: [] };

export const useUser = create<CurrentUser>(() => NOBODY);

export function rememberUser(me: Me): void {
  const { permissions, ...profile } = me;
  useUser.setState({ profile, preferences: profile.preferences, permissions });
}

export function forgetUser(): void {
  useUser.setState(NOBODY, true);
}

/** What to call somebody. */
export function nameOf(user: Pick<User, "display_name" | "username">): string {
  return user.display_name === "" ? user.username : user.display_name;
}

/** What to call the signed-in user; empty while nobody is. */
export function useMyName(): string {
  return useUser((user) => (user.profile ? nameOf(user.profile) : ""));
}

export function useMay(permission: Permission): boolean {
  return useUser((user) => user.permissions.includes(permission));
}
