import { endSession } from "@ai-orchestra/api/end-session";
import { nameOf, useMay, useUser } from "@ai-orchestra/api/stores/user";
import { Avatar } from "@ai-orchestra/ui/avatar";
import { LayoutDashboardIcon, LogOutIcon, SettingsIcon } from "@ai-orchestra/ui/icons";
import { Menu, MenuItem, MenuSeparator } from "@ai-orchestra/ui/menu";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { toast } from "@ai-orchestra/ui/toast";
import { useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";

export function ProfileMenu() {
  const { t } = useLingui();
  const navigate = useNavigate();
  const client = useQueryClient();
  const profile = useUser((user) => user.profile);
  const isAdmin = useMay("system:read");
  if (!profile) return null;
  const name = nameOf(profile);
  const leave = async () => {
    try {
      await endSession(client, "sign-out");
      await navigate({ to: "/login" });
    } catch (error) {
      toast.error(problemText(error));
    }
  };
  return (
    <Menu
      trigger={
        <button type="button" aria-label={t`Your profile: ${name}`} className="pressable touch ml-1 inline-flex items-center justify-center rounded-full">
          <Avatar name={name} src={profile.avatar_url} />
        </button>
      }
    >
      <div className="flex items-center gap-3 px-2.5 py-2">
        <Avatar name={name} src={profile.avatar_url} />
        <div className="min-w-0">
          <p className="truncate text-sm font-medium">{name}</p>
          <p className="truncate text-xs text-ink-faint">@{profile.username}</p>
        </div>
      </div>
      <MenuSeparator />
      <MenuItem icon={<SettingsIcon className="size-4" />} onSelect={() => void navigate({ to: "/settings" })}>
        {t`Settings`}
      </MenuItem>
      {isAdmin ? (
        <MenuItem
          icon={<LayoutDashboardIcon className="size-4" />}
          onSelect={() => {
            location.assign("/admin/");
          }}
        >
          {t`Administration`}
        </MenuItem>
      ) : null}
      <MenuSeparator />
      <MenuItem icon={<LogOutIcon className="size-4" />} onSelect={() => void leave()}>
        {t`Sign out`}
      </MenuItem>
    </Menu>
  );
}
