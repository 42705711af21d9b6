/** The table of URLs. Pages are chunks of their own; the shell decides whether one must be signed in. */
import { queryClient } from "@ai-orchestra/api/query-client";
import { meQuery } from "@ai-orchestra/api/session";
import { pageDefaults } from "@ai-orchestra/ui/page-defaults";
import { PageNotFound } from "@ai-orchestra/ui/page-states";
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from "@tanstack/react-router";

const root = createRootRoute({ component: Outlet, notFoundComponent: () => <PageNotFound home="/" /> });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (search: Record<string, unknown>): { next?: string } =>
    typeof search.next === "string" ? { next: search.next } : {},
  component: lazyRouteComponent(() => import("./features/identity/login-page.tsx"), "LoginPage"),
});

const setup = createRoute({
  getParentRoute: () => root,
  path: "/setup",
  component: lazyRouteComponent(() => import("./features/identity/setup-page.tsx"), "SetupPage"),
});

const signedIn = createRoute({
  getParentRoute: () => root,
  id: "signed-in",
  beforeLoad: async ({ location }) => {
    const me = await queryClient.query({ ...meQuery, staleTime: "static" });
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- the router's way to redirect
    if (me === null) throw redirect({ to: "/login", search: { next: location.href } });
  },
  component: lazyRouteComponent(() => import("./shell/app-shell.tsx"), "AppShell"),
});

const home = createRoute({
  getParentRoute: () => signedIn,
  path: "/",
  component: lazyRouteComponent(() => import("./features/home/home-page.tsx"), "HomePage"),
});

const chat = createRoute({
  getParentRoute: () => signedIn,
  path: "/chat",
  component: lazyRouteComponent(() => import("./features/chat/chat-layout.tsx"), "ChatLayout"),
});

const chatIndex = createRoute({
  getParentRoute: () => chat,
  path: "/",
  component: lazyRouteComponent(() => import("./features/chat/chat-index.tsx"), "ChatIndex"),
});

const newConversation = createRoute({
  getParentRoute: () => chat,
  path: "/new",
  component: lazyRouteComponent(() => import("./features/chat/new-conversation.tsx"), "NewConversation"),
});

const conversation = createRoute({
  getParentRoute: () => chat,
  path: "/$id",
  component: lazyRouteComponent(() => import("./features/chat/conversation-page.tsx"), "ConversationPage"),
});

export const SETTINGS_TABS = ["profile", "ai", "security", "keys"] as const;
export type SettingsTab = (typeof SETTINGS_TABS)[number];

const settings = createRoute({
  getParentRoute: () => signedIn,
  path: "/settings",
  validateSearch: (search: Record<string, unknown>): { tab?: SettingsTab } => {
    const tab = SETTINGS_TABS.find((known) => known === search.tab);
    return tab ? { tab } : {};
  },
  component: lazyRouteComponent(() => import("./features/settings/settings-page.tsx"), "SettingsPage"),
});

const routeTree = root.addChildren([
  login,
  setup,
  signedIn.addChildren([home, chat.addChildren([chatIndex, newConversation, conversation]), settings]),
]);

export const router = createRouter({
  routeTree,
  ...pageDefaults((): Promise<void> => router.invalidate()),
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
