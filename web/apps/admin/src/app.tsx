import { queryClient } from "@ai-orchestra/api/query-client";
import { useEndedLogin } from "@ai-orchestra/api/use-ended-login";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { router } from "./router.tsx";

const leave = () => router.invalidate();

export function App() {
  useEndedLogin(leave);
  return (
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  );
}
