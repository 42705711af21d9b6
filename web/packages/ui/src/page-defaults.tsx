import { PageError, PagePending } from "./page-states.tsx";

/** What the routers of all applications do alike; `retry` loads the page anew. */
export function pageDefaults(retry: () => Promise<unknown>) {
  return {
    defaultPreload: "intent",
    defaultPendingComponent: PagePending,
    defaultPendingMs: 300,
    defaultErrorComponent: ({ error }: { error: unknown }) => <PageError error={error} onRetry={retry} />,
    scrollRestoration: true,
  } as const;
}
