/** Signing out as far as this browser is concerned; apart from the rest, because the door needs none of it. */
import type { QueryClient } from "@tanstack/react-query";
import { cache } from "./cache/cache.ts";
import { signOut } from "./endpoints/identity.ts";
import { realtime } from "./realtime/client.ts";
import { meQuery } from "./session.ts";
import { forgetRealtime } from "./stores/realtime.ts";
import { forgetUser } from "./stores/user.ts";

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
