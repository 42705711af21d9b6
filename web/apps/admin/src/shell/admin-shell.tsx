import { useMay } from "@ai-orchestra/api/stores/user";
import { classNames } from "@ai-orchestra/ui/class-names.ts";
import { TAB_BAR_ITEM, TabBar, TabBarItem } from "@ai-orchestra/ui/tab-bar";
import { useLingui } from "@lingui/react/macro";
import { Link, Outlet } from "@tanstack/react-router";
import { AdminHeader } from "./admin-header.tsx";
import { ConnectionBanner } from "./connection-banner.tsx";
import { NotForYou } from "./not-for-you.tsx";
import { SECTIONS } from "./sections.ts";
import { useLiveFeed } from "./use-live-feed.ts";

const SIDE_LINK =
  "pressable flex items-center gap-3 rounded-xl px-3 py-2 text-sm font-medium text-ink-soft hover:bg-hover hover:text-ink aria-[current=page]:bg-accent-soft aria-[current=page]:text-accent-text";

export function AdminShell() {
  const allowed = useMay("system:read");
  return allowed ? <Console /> : <NotForYou />;
}

function Console() {
  const { t, i18n } = useLingui();
  useLiveFeed();
  return (
    <div className="min-h-dvh">
      <AdminHeader />
      <ConnectionBanner />
      <div className="flex">
        <nav aria-label={t`Main navigation`} className="sticky top-14 hidden h-[calc(100dvh-3.5rem)] w-56 shrink-0 flex-col gap-1 border-r border-line p-3 md:flex">
          {SECTIONS.map(({ to, label, icon: Icon }) => (
            <Link key={to} to={to} activeOptions={{ exact: to === "/" }} className={SIDE_LINK}>
              <Icon className="size-[1.125rem]" />
              {i18n._(label)}
            </Link>
          ))}
        </nav>
        <main id="main" tabIndex={-1} className={classNames("min-w-0 flex-1 px-4 pt-6 pb-[calc(5.5rem+env(safe-area-inset-bottom))] outline-none md:px-8 md:py-8")}>
          <div className="mx-auto max-w-6xl">
            <Outlet />
          </div>
        </main>
      </div>
      <TabBar label={t`Main navigation`}>
        {SECTIONS.map(({ to, label, icon: Icon }) => (
          <Link key={to} to={to} activeOptions={{ exact: to === "/" }} className={TAB_BAR_ITEM}>
            <TabBarItem icon={<Icon className="size-5" />} label={i18n._(label)} />
          </Link>
        ))}
      </TabBar>
    </div>
  );
}
