import { createUser, type NewUser } from "@ai-orchestra/api/endpoints/identity";
import { Button } from "@ai-orchestra/ui/button";
import { Dialog } from "@ai-orchestra/ui/dialog";
import { Input, PasswordInput, Select } from "@ai-orchestra/ui/input";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { toast } from "@ai-orchestra/ui/toast";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { useState, type SubmitEvent } from "react";
import { asRole, ROLES } from "./roles.ts";

const SHORTEST_PASSWORD = 8;

export function NewUserDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useLingui();
  return (
    <Dialog open={open} onClose={onClose} title={t`New user`} closeLabel={t`Close`}>
      <Form onDone={onClose} />
    </Dialog>
  );
}

function Form({ onDone }: { onDone: () => void }) {
  const { t, i18n } = useLingui();
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    setBusy(true);
    try {
      const user = await createUser(readUser(new FormData(event.currentTarget)));
      await client.invalidateQueries({ queryKey: ["users"] });
      toast.success(t`${user.username} can sign in now.`);
      onDone();
    } catch (error) {
      toast.error(problemText(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-5">
      <Input label={t`User name`} name="username" autoComplete="off" autoCapitalize="none" spellCheck={false} maxLength={50} required autoFocus />
      <Input label={t`Display name (optional)`} name="display_name" autoComplete="off" maxLength={100} />
      <PasswordInput
        label={t`First password`}
        name="password"
        autoComplete="new-password"
        minLength={SHORTEST_PASSWORD}
        required
        showLabel={t`Show the password`}
        hint={t`At least 8 characters. The user can change it in the settings.`}
      />
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
    return typeof value === "string" ? value : "";
  };
  const display = text("display_name").trim();
  return { username: text("username").trim(), password: text("password"), role: asRole(form.get("role")), ...(display ? { display_name: display } : {}) };
}
