import { beginSession } from "@ai-orchestra/api/session";
import type { Session } from "@ai-orchestra/api/schema";
import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { isOtherApp, safeNext } from "./after-sign-in.ts";

/** What every way of signing in does at its end. */
export function useEnter(): (session: Session, next?: string) => Promise<void> {
  const client = useQueryClient();
  const router = useRouter();
  return async (session, next) => {
    beginSession(client, session);
    const target = safeNext(next);
    if (isOtherApp(target)) {
      location.assign(target);
      return;
    }
    router.history.push(target);
    await router.invalidate();
  };
}
