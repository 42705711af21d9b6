/** The table of URLs of the administration; filters of lists are part of them. */
import { queryClient } from "@ai-orchestra/api/query-client";
import { meQuery } from "@ai-orchestra/api/session";
import { pageDefaults } from "@ai-orchestra/ui/page-defaults";
import { PageNotFound } from "@ai-orchestra/ui/page-states";
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet } from "@tanstack/react-router";
import { AdminShell } from "./shell/admin-shell.tsx";

const root = createRootRoute({ component: Outlet, notFoundComponent: () => <PageNotFound home="/admin/" /> });

const admin = createRoute({
  getParentRoute: () => root,
  id: "admin",
  beforeLoad: async ({ location }) => {
    const me = await queryClient.query({ ...meQuery, staleTime: "static" });
    if (me !== null) return;
    // Signing in is the other app's page, so this leaves for good.
    window.location.assign(`/login?next=${encodeURIComponent(`/admin${location.href}`)}`);
    await new Promise(() => undefined);
  },
  component: AdminShell,
});

const overview = createRoute({
  getParentRoute: () => admin,
  path: "/",
  component: lazyRouteComponent(() => import("./features/overview/overview-page.tsx"), "OverviewPage"),
});

const agents = createRoute({
  getParentRoute: () => admin,
  path: "/agents",
  validateSearch: (search): { status?: string } => texts(search, ["status"]),
  component: lazyRouteComponent(() => import("./features/agents/agents-page.tsx"), "AgentsPage"),
});

export interface TasksSearch {
  state?: string;
  capability?: string;
  agent_id?: string;
  task?: string;
}

const tasks = createRoute({
  getParentRoute: () => admin,
  path: "/tasks",
  validateSearch: (search): TasksSearch => texts(search, ["state", "capability", "agent_id", "task"]),
  component: lazyRouteComponent(() => import("./features/tasks/tasks-page.tsx"), "TasksPage"),
});

const users = createRoute({
  getParentRoute: () => admin,
  path: "/users",
  component: lazyRouteComponent(() => import("./features/users/users-page.tsx"), "UsersPage"),
});

const audit = createRoute({
  getParentRoute: () => admin,
  path: "/audit",
  component: lazyRouteComponent(() => import("./features/audit/audit-page.tsx"), "AuditPage"),
});

/** The named search parameters that are texts and not empty. */
function texts<Name extends string>(search: Record<string, unknown>, names: readonly Name[]): Partial<Record<Name, string>> {
  const found: Partial<Record<Name, string>> = {};
  for (const name of names) {
    const value = search[name];
    if (typeof value === "string" && value !== "") found[name] = value;
  }
  return found;
}

export const router = createRouter({
  routeTree: root.addChildren([admin.addChildren([overview, agents, tasks, users, audit])]),
  basepath: "/admin",
  ...pageDefaults((): Promise<void> => router.invalidate()),
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
