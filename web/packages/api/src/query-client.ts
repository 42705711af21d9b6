import { QueryClient } from "@tanstack/react-query";

/** The REST client retries by itself, so a query does not; the live feed says when something is stale. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: { retry: false, staleTime: 30_000, refetchOnWindowFocus: true, networkMode: "always" },
    mutations: { networkMode: "always" },
  },
});
