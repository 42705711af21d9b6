/** A query that shows what was cached while the network answers, and keeps the cache in step with the answer. */
import type { QueryClient, QueryKey } from "@tanstack/react-query";
import { useUser } from "../stores/user.ts";
import { cache } from "./cache.ts";

/** Older than any `staleTime`, so that the cached value is always read again. */
const LONG_AGO = 1;

export async function cachedQuery<Value>(client: QueryClient, key: QueryKey, read: () => Promise<Value>): Promise<Value> {
  const cacheKey = `${useUser.getState().profile?.id ?? "nobody"}/${JSON.stringify(key)}`;
  const answer = read();
  // Awaited below; a failure before that is not an unhandled one.
  answer.catch(() => undefined);
  if (client.getQueryData(key) === undefined) {
    const cached = await cache.get<Value>("api-cache", cacheKey);
    if (cached !== undefined && client.getQueryData(key) === undefined) {
      client.setQueryData(key, cached, { updatedAt: LONG_AGO });
    }
  }
  const value = await answer;
  void cache.set("api-cache", cacheKey, value);
  return value;
}
