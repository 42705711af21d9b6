import { createUser, type NewUser } from "@ai-orchestra/api/endpoints/identity";
import type { InvitedUser } from "@ai-orchestra/api/schema";
import { Button } from "@ai-orchestra/ui/button";
import { Dialog } from "@ai-orchestra/ui/dialog";
import { Input, Select } from "@ai-orchestra/ui/input";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { toast } from "@ai-orchestra/ui/toast";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { useState, type SubmitEvent } from "react";
import { InviteLink } from "./invite-link.tsx";
import { asRole, ROLES } from "./roles.ts";

export function NewUserDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useLingui();
  const [invited, setInvited] = useState<InvitedUser>();
  const close = () => {
    setInvited(undefined);
    onClose();
  };
  return (
    <Dialog open={open} onClose={close} title={t`New user`} closeLabel={t`Close`}>
      {invited ? <InviteLink invited={invited} onDone={close} /> : <Form onCreated={setInvited} />}
    </Dialog>
  );
}

function Form({ onCreated }: { onCreated: (user: InvitedUser) => void }) {
  const { t, i18n } = useLingui();
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    setBusy(true);
    try {
      onCreated(await createUser(readUser(new FormData(event.currentTarget))));
      await client.invalidateQueries({ queryKey: ["users"] });
    } catch (error) {
      toast.error(problemText(error));
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-5">
      <Input label={t`User name`} name="username" autoComplete="off" autoCapitalize="none" spellCheck={false} maxLength={50} required autoFocus />
      <Input label={t`Display name (optional)`} name="display_name" autoComplete="off" maxLength={100} />
      <Select label={t`Role`} name="role" defaultValue="member" hint={t`Members chat and run tasks; viewers only look.`}>
        {Object.entries(ROLES).map(([role, text]) => (
          <option key={role} value={role}>
            {i18n._(text)}
          </option>
        ))}
      </Select>
      <Button type="submit" busy={busy} className="self-end">
        <Trans>Create the user</Trans>
      </Button>
    </form>
  );
}

function readUser(form: FormData): NewUser {
  const text = (name: string) => {
    const value = form.get(name);
    return typeof value === "string" ? value.trim() : "";
  };
  return { username: text("username"), display_name: text("display_name"), role: asRole(form.get("role")) };
}
