import { endSession } from "@ai-orchestra/api/end-session";
import { nameOf, useUser } from "@ai-orchestra/api/stores/user";
import { Avatar } from "@ai-orchestra/ui/avatar";
import { Badge } from "@ai-orchestra/ui/badge";
import { BrandMark } from "@ai-orchestra/ui/brand";
import { ArrowLeftIcon, LogOutIcon } from "@ai-orchestra/ui/icons";
import { Menu, MenuItem } from "@ai-orchestra/ui/menu";
import { PreferencesMenu } from "@ai-orchestra/ui/preferences-menu";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

export function AdminHeader() {
  return (
    <header className="safe-top sticky top-0 z-30 border-b border-line bg-canvas/80 backdrop-blur-md">
      <div className="flex h-14 items-center gap-2 px-4 md:px-5">
        <Link to="/" className="pressable -ml-1 flex items-center gap-2.5 rounded-lg p-1">
          <BrandMark className="size-8" />
          <span className="font-semibold tracking-tight">AI Orchestra</span>
          <span className="max-sm:hidden">
            <Badge tone="accent">
              <Trans>Administration</Trans>
            </Badge>
          </span>
        </Link>
        <div className="ml-auto flex items-center gap-1">
          <PreferencesMenu />
          <ProfileMenu />
        </div>
      </div>
    </header>
  );
}

function ProfileMenu() {
  const { t } = useLingui();
  const client = useQueryClient();
  const profile = useUser((user) => user.profile);
  if (!profile) return null;
  const name = nameOf(profile);
  const leave = async () => {
    await endSession(client, "sign-out");
    location.assign("/login");
  };
  return (
    <Menu
      trigger={
        <button type="button" aria-label={t`Your profile: ${name}`} className="pressable touch ml-1 inline-flex items-center justify-center rounded-full">
          <Avatar name={name} src={profile.avatar_url} />
        </button>
      }
    >
      <MenuItem
        icon={<ArrowLeftIcon className="size-4" />}
        onSelect={() => {
          location.assign("/");
        }}
      >
        {t`Back to the app`}
      </MenuItem>
      <MenuItem icon={<LogOutIcon className="size-4" />} onSelect={() => void leave()}>
        {t`Sign out`}
      </MenuItem>
    </Menu>
  );
}
