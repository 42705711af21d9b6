import { KeyRoundIcon, ShieldCheckIcon, SparklesIcon, UserRoundIcon } from "@ai-orchestra/ui/icons";
import { Tabs, type Tab } from "@ai-orchestra/ui/tabs";
import { useTitle } from "@ai-orchestra/ui/use-title.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { getRouteApi } from "@tanstack/react-router";
import type { SettingsTab } from "../../router.tsx";
import { AiTab } from "./ai-tab.tsx";
import { KeysTab } from "./keys-tab.tsx";
import { ProfileTab } from "./profile-tab.tsx";
import { SecurityTab } from "./security-tab.tsx";
import { useMay } from "@ai-orchestra/api/stores/user";

const route = getRouteApi("/signed-in/settings");

export function SettingsPage() {
  const { t } = useLingui();
  useTitle(t`Settings`);
  const { tab = "profile" } = route.useSearch();
  const navigate = route.useNavigate();
  const mayKeys = useMay("keys:manage");
  const tabs: Tab<SettingsTab>[] = [
    { id: "profile", label: t`Profile`, icon: <UserRoundIcon className="size-4" /> },
    { id: "ai", label: t`AI`, icon: <SparklesIcon className="size-4" /> },
    { id: "security", label: t`Security`, icon: <ShieldCheckIcon className="size-4" /> },
    ...(mayKeys ? [{ id: "keys" as const, label: t`API keys`, icon: <KeyRoundIcon className="size-4" /> }] : []),
  ];
  return (
    <div className="mx-auto max-w-3xl px-4 py-8 md:px-6 md:py-12">
      <h1 className="mb-6 text-2xl font-semibold tracking-tight">
        <Trans>Settings</Trans>
      </h1>
      <Tabs label={t`Settings`} tabs={tabs} active={tab} onSelect={(id) => void navigate({ search: { tab: id }, replace: true })}>
        {tab === "profile" ? <ProfileTab /> : null}
        {tab === "ai" ? <AiTab /> : null}
        {tab === "security" ? <SecurityTab /> : null}
        {tab === "keys" && mayKeys ? <KeysTab /> : null}
      </Tabs>
    </div>
  );
}
