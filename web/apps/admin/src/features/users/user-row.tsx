import { patchUser, type UserPatch } from "@ai-orchestra/api/endpoints/identity";
import type { User } from "@ai-orchestra/api/schema";
import { useUser } from "@ai-orchestra/api/stores/user";
import { Avatar } from "@ai-orchestra/ui/avatar";
import { Badge } from "@ai-orchestra/ui/badge";
import { Button } from "@ai-orchestra/ui/button";
import { formatRelative } from "@ai-orchestra/ui/format.ts";
import { Select } from "@ai-orchestra/ui/input";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { toast } from "@ai-orchestra/ui/toast";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { asRole, ROLES } from "./roles.ts";

export function UserRow({ user }: { user: User }) {
  const { t, i18n } = useLingui();
  const client = useQueryClient();
  const myself = useUser((state) => state.profile?.id === user.id);
  const change = async (patch: UserPatch) => {
    try {
      await patchUser(user.id, patch);
      await client.invalidateQueries({ queryKey: ["users"] });
    } catch (error) {
      toast.error(problemText(error));
    }
  };
  const name = user.display_name ?? user.username;
  const seen = user.last_login_at ? t`signed in ${formatRelative(user.last_login_at)}` : t`never signed in`;
  const disabled = user.status === "disabled";
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-3 px-5 py-4">
      <Avatar name={name} src={user.avatar_url} />
      <div className="min-w-0 flex-1 basis-48">
        <p className="flex items-center gap-2 text-sm font-medium">
          <span className="truncate">{name}</span>
          {myself ? <Badge tone="accent">{t`You`}</Badge> : null}
          {disabled ? <Badge>{t`Disabled`}</Badge> : null}
        </p>
        <p className="truncate text-[0.8125rem] text-ink-faint">
          @{user.username} · {seen}
        </p>
      </div>
      <div className="flex items-center gap-2">
        <Select label={t`Role of ${name}`} hideLabel className="w-40" value={user.role} disabled={myself} onChange={(event) => void change({ role: asRole(event.target.value) })}>
          {Object.entries(ROLES).map(([role, text]) => (
            <option key={role} value={role}>
              {i18n._(text)}
            </option>
          ))}
        </Select>
        <Button variant="outline" disabled={myself} onClick={() => change({ status: disabled ? "active" : "disabled" })} className="min-w-24">
          {disabled ? <Trans>Enable</Trans> : <Trans>Disable</Trans>}
        </Button>
      </div>
    </li>
  );
}
