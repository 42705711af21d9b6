import { BrandMark } from "@ai-orchestra/ui/brand";
import { classNames } from "@ai-orchestra/ui/class-names.ts";
import { PreferencesMenu } from "@ai-orchestra/ui/preferences-menu";
import { useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { ProfileMenu } from "./profile-menu.tsx";

const NAV_LINK =
  "pressable rounded-lg px-3 py-1.5 text-sm font-medium text-ink-soft hover:bg-hover hover:text-ink aria-[current=page]:bg-hover aria-[current=page]:text-ink";

export function Header({ className }: { className: string }) {
  const { t } = useLingui();
  return (
    <header className={classNames("safe-top sticky top-0 z-30 border-b border-line bg-canvas/80 backdrop-blur-md", className)}>
      <div className="flex h-14 items-center gap-2 px-4 md:px-6">
        <Link to="/" className="pressable -ml-1 flex items-center gap-2.5 rounded-lg p-1">
          <BrandMark className="size-8" />
          <span className="font-semibold tracking-tight">AI Orchestra</span>
        </Link>
        <nav aria-label={t`Main navigation`} className="ml-5 hidden items-center gap-1 md:flex">
          <Link to="/" activeOptions={{ exact: true }} className={NAV_LINK}>{t`Home`}</Link>
          <Link to="/chat" className={NAV_LINK}>{t`Chat`}</Link>
          <Link to="/settings" className={NAV_LINK}>{t`Settings`}</Link>
        </nav>
        <div className="ml-auto flex items-center gap-1">
          <PreferencesMenu />
          <ProfileMenu />
        </div>
      </div>
    </header>
  );
}
