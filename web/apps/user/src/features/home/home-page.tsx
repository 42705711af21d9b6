import { useMay, useMyName } from "@ai-orchestra/api/stores/user";
import { buttonClass } from "@ai-orchestra/ui/button";
import { KeyRoundIcon, LayoutDashboardIcon, PlusIcon, SparklesIcon } from "@ai-orchestra/ui/icons";
import { useTitle } from "@ai-orchestra/ui/use-title.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { RecentSessions } from "./recent-sessions.tsx";
import { SystemStatus } from "./system-status.tsx";

export function HomePage() {
  const { t } = useLingui();
  useTitle(t`Home`);
  const name = useMyName();
  return (
    <div className="mx-auto flex max-w-6xl flex-col gap-8 px-4 py-8 md:px-6 md:py-12">
      <section>
        <h1 className="text-[1.75rem] leading-tight font-semibold tracking-tight text-balance md:text-4xl">
          <Greeting name={name} />
        </h1>
        <p className="mt-2 text-ink-soft md:text-lg">
          <Trans>What would you like to work on?</Trans>
        </p>
        <QuickActions />
      </section>
      <div className="grid grid-cols-1 items-start gap-6 lg:grid-cols-[minmax(0,1fr)_22rem]">
        <RecentSessions />
        <SystemStatus />
      </div>
    </div>
  );
}

function Greeting({ name }: { name: string }) {
  const hour = new Date().getHours();
  if (hour < 5) return <Trans>Still up, {name}?</Trans>;
  if (hour < 12) return <Trans>Good morning, {name}</Trans>;
  if (hour < 18) return <Trans>Good afternoon, {name}</Trans>;
  return <Trans>Good evening, {name}</Trans>;
}

function QuickActions() {
  const mayProviders = useMay("providers:manage");
  const mayKeys = useMay("keys:manage");
  const isAdmin = useMay("system:read");
  return (
    <div className="mt-6 grid grid-cols-2 gap-3 sm:flex sm:flex-wrap">
      <Link to="/chat/new" className={`${buttonClass("primary", "lg")} col-span-2`}>
        <PlusIcon className="size-5" />
        <Trans>New session</Trans>
      </Link>
      {mayProviders ? (
        <Link to="/settings" search={{ tab: "ai" }} className={`${buttonClass("outline", "lg")} px-3! sm:px-6!`}>
          <SparklesIcon className="size-[1.125rem] text-ink-soft" />
          <Trans>AI configuration</Trans>
        </Link>
      ) : null}
      {mayKeys && !mayProviders ? (
        <Link to="/settings" search={{ tab: "keys" }} className={`${buttonClass("outline", "lg")} px-3! sm:px-6!`}>
          <KeyRoundIcon className="size-[1.125rem] text-ink-soft" />
          <Trans>API keys</Trans>
        </Link>
      ) : null}
      {isAdmin ? (
        <a href="/admin/" className={`${buttonClass("outline", "lg")} px-3! sm:px-6!`}>
          <LayoutDashboardIcon className="size-[1.125rem] text-ink-soft" />
          <Trans>Administration</Trans>
        </a>
      ) : null}
    </div>
  );
}
