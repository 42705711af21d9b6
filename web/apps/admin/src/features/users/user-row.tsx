import { inviteAgain, patchUser, type UserPatch } from "@ai-orchestra/api/endpoints/identity";
import type { InvitedUser, User } from "@ai-orchestra/api/schema";
import { nameOf, useUser } from "@ai-orchestra/api/stores/user";
import { Avatar } from "@ai-orchestra/ui/avatar";
import { Badge } from "@ai-orchestra/ui/badge";
import { Button } from "@ai-orchestra/ui/button";
import { Dialog } from "@ai-orchestra/ui/dialog";
import { formatRelative } from "@ai-orchestra/ui/format.ts";
import { Select } from "@ai-orchestra/ui/input";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { toast } from "@ai-orchestra/ui/toast";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { InviteLink } from "./invite-link.tsx";
import { asRole, ROLES } from "./roles.ts";

export function UserRow({ user }: { user: User }) {
  const { t, i18n } = useLingui();
  const client = useQueryClient();
  const [invited, setInvited] = useState<InvitedUser>();
  const myself = useUser((state) => state.profile?.id === user.id);
  const change = async (patch: UserPatch) => {
    try {
      await patchUser(user.id, patch);
      await client.invalidateQueries({ queryKey: ["users"] });
    } catch (error) {
      toast.error(problemText(error));
    }
  };
  const invite = async () => {
    try {
      setInvited(await inviteAgain(user.id));
    } catch (error) {
      toast.error(problemText(error));
    }
  };
  const close = () => {
    setInvited(undefined);
  };
  const name = nameOf(user);
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
      <div className="flex flex-wrap items-center gap-2">
        <Select label={t`Role of ${name}`} hideLabel className="w-40" value={user.role} disabled={myself} onChange={(event) => void change({ role: asRole(event.target.value) })}>
          {Object.entries(ROLES).map(([role, text]) => (
            <option key={role} value={role}>
              {i18n._(text)}
            </option>
          ))}
        </Select>
        <Button variant="ghost" disabled={myself || disabled} onClick={invite}>
          <Trans>Sign-in link</Trans>
        </Button>
        <Button variant="outline" disabled={myself} onClick={() => change({ status: disabled ? "active" : "disabled" })} className="min-w-24">
          {disabled ? <Trans>Enable</Trans> : <Trans>Disable</Trans>}
        </Button>
      </div>
      <Dialog open={invited !== undefined} onClose={close} title={t`New sign-in link`} closeLabel={t`Close`}>
        {invited ? <InviteLink invited={invited} onDone={close} /> : null}
      </Dialog>
    </li>
  );
}
