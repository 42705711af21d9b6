import { TAB_BAR_ITEM, TabBar, TabBarItem } from "@ai-orchestra/ui/tab-bar";
import { classNames } from "@ai-orchestra/ui/class-names.ts";
import { HouseIcon, MessageCircleIcon, SettingsIcon } from "@ai-orchestra/ui/icons";
import { useLingui } from "@lingui/react/macro";
import { Link, Outlet, useMatchRoute } from "@tanstack/react-router";
import { ConnectionBanner } from "./connection-banner.tsx";
import { Header } from "./header.tsx";
import { useLiveFeed } from "./use-live-feed.ts";

/** Everything around a page once somebody is signed in. */
export function AppShell() {
  const { t } = useLingui();
  useLiveFeed();
  const matchRoute = useMatchRoute();
  // On a phone an open conversation has the whole screen: its own header leads back.
  const inConversation = matchRoute({ to: "/chat/$id" }) !== false || matchRoute({ to: "/chat/new" }) !== false;
  return (
    <div className="min-h-dvh">
      <a href="#main" className="sr-only z-70 rounded-lg bg-accent px-4 py-2 text-accent-ink focus:not-sr-only focus:fixed focus:top-3 focus:left-3">
        {t`Skip to the content`}
      </a>
      <Header className={inConversation ? "hidden md:block" : ""} />
      <ConnectionBanner />
      <main id="main" tabIndex={-1} className={classNames("outline-none", !inConversation && "pb-[calc(3.75rem+env(safe-area-inset-bottom))] md:pb-0")}>
        <Outlet />
      </main>
      {inConversation ? null : <Tabs />}
    </div>
  );
}

function Tabs() {
  const { t } = useLingui();
  return (
    <TabBar label={t`Main navigation`}>
      <Link to="/" activeOptions={{ exact: true }} className={TAB_BAR_ITEM}>
        <TabBarItem icon={<HouseIcon className="size-5" />} label={t`Home`} />
      </Link>
      <Link to="/chat" className={TAB_BAR_ITEM}>
        <TabBarItem icon={<MessageCircleIcon className="size-5" />} label={t`Chat`} />
      </Link>
      <Link to="/settings" className={TAB_BAR_ITEM}>
        <TabBarItem icon={<SettingsIcon className="size-5" />} label={t`Settings`} />
      </Link>
    </TabBar>
  );
}
