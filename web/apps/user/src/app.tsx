import { queryClient } from "@ai-orchestra/api/query-client";
import { meQuery } from "@ai-orchestra/api/session";
import { onUnauthorized } from "@ai-orchestra/api/rest";
import { Toaster } from "@ai-orchestra/ui/toast";
import { I18nProvider } from "@lingui/react";
import { i18n } from "@lingui/core";
import { t } from "@lingui/core/macro";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { useEffect } from "react";
import { router } from "./router.tsx";

export function App() {
  // The server may end the login at any time; then the page goes to the door and comes back afterwards.
  useEffect(
    () =>
      onUnauthorized(() => {
        // Nobody was signed in: the page is at the door already.
        if (!queryClient.getQueryData(meQuery.queryKey)) return;
        void import("@ai-orchestra/api/end-session")
          .then(({ endSession }) => endSession(queryClient, "expired"))
          .then(() => router.invalidate());
      }),
    [],
  );
  return (
    <I18nProvider i18n={i18n}>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
        <Toaster closeLabel={t`Close`} />
      </QueryClientProvider>
    </I18nProvider>
  );
}
