import { createUser, type NewUser } from "@ai-orchestra/api/endpoints/identity";
import type { InvitedUser } from "@ai-orchestra/api/schema";
import { Banner } from "@ai-orchestra/ui/banner";
import { Button } from "@ai-orchestra/ui/button";
import { Dialog } from "@ai-orchestra/ui/dialog";
import { Input, Select } from "@ai-orchestra/ui/input";
import { useSubmission } from "@ai-orchestra/ui/use-submission.ts";
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
  const { busy, problem, submit } = useSubmission();
  const onSubmit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const user = readUser(new FormData(event.currentTarget));
    void submit(async () => {
      onCreated(await createUser(user));
      await client.invalidateQueries({ queryKey: ["users"] });
    });
  };
  return (
    <form onSubmit={onSubmit} className="flex flex-col gap-5">
      {problem ? <Banner tone="error">{problem}</Banner> : null}
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
