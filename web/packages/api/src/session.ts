/** Who is signed in, as far as this browser knows. */
import { queryOptions, type QueryClient } from "@tanstack/react-query";
import { readMe } from "./endpoints/identity.ts";
import { ApiError } from "./problem.ts";
import type { Session } from "./schema.ts";
import { rememberUser } from "./stores/user.ts";

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
