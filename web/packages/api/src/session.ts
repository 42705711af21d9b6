/** Signing in and out as far as this browser is concerned: who it is, what it holds of them, whether it listens. */
import { queryOptions, type QueryClient } from "@tanstack/react-query";
import { cache } from "./cache/cache.ts";
import { readMe, signOut } from "./endpoints/identity.ts";
import { ApiError } from "./problem.ts";
import { realtime } from "./realtime/client.ts";
import type { Session } from "./schema.ts";
import { forgetRealtime } from "./stores/realtime.ts";
import { forgetUser, rememberUser } from "./stores/user.ts";

/** The signed-in user, or null when nobody is. */
export const meQuery = queryOptions({
  queryKey: ["me"],
  staleTime: 60_000,
  queryFn: async ({ signal }) => {
    try {
      const me = await readMe(signal);
      rememberUser(me);
      return me;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return null;
      throw error;
    }
  },
});

export function beginSession(client: QueryClient, session: Session): void {
  const me = { ...session.user, permissions: session.permissions };
  rememberUser(me);
  client.setQueryData(meQuery.queryKey, me);
}

/** Forgets everything of the person who was signed in; the server has ended the login already, or is told so. */
export async function endSession(client: QueryClient, how: "sign-out" | "expired"): Promise<void> {
  if (how === "sign-out") await signOut();
  realtime.disconnect();
  forgetUser();
  forgetRealtime();
  client.clear();
  client.setQueryData(meQuery.queryKey, null);
  await cache.clear();
}
