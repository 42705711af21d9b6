import { createKey } from "@ai-orchestra/api/endpoints/identity";
import type { NewApiKey, Permission } from "@ai-orchestra/api/schema";
import { useUser } from "@ai-orchestra/api/stores/user";
import { Banner } from "@ai-orchestra/ui/banner";
import { Button } from "@ai-orchestra/ui/button";
import { Dialog } from "@ai-orchestra/ui/dialog";
import { Input, Select } from "@ai-orchestra/ui/input";
import { useSubmission } from "@ai-orchestra/ui/use-submission.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { useState, type SubmitEvent } from "react";
import { CopyButton } from "@ai-orchestra/ui/copy-button";

/** What a program usually needs; everything else has to be ticked. */
const USUAL: readonly Permission[] = ["tasks:read", "tasks:write", "agents:read", "models:use"];

export function NewKeyDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useLingui();
  const [created, setCreated] = useState<NewApiKey>();
  const close = () => {
    setCreated(undefined);
    onClose();
  };
  return (
    <Dialog open={open} onClose={close} title={created ? t`Your new key` : t`New API key`} closeLabel={t`Close`}>
      {created ? <ShownOnce created={created} onDone={close} /> : <Form onCreated={setCreated} />}
    </Dialog>
  );
}

function Form({ onCreated }: { onCreated: (key: NewApiKey) => void }) {
  const { t } = useLingui();
  const client = useQueryClient();
  const permissions = useUser((user) => user.permissions);
  const { busy, problem, submit } = useSubmission();
  const onSubmit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const key = readKey(new FormData(event.currentTarget));
    void submit(async () => {
      onCreated(await createKey(key));
      await client.invalidateQueries({ queryKey: ["keys"] });
    });
  };
  return (
    <form onSubmit={onSubmit} className="flex flex-col gap-5">
      {problem ? <Banner tone="error">{problem}</Banner> : null}
      <Input label={t`Name`} name="name" placeholder={t`For example: nightly report`} maxLength={100} required autoFocus />
      <Select label={t`Valid for`} name="days" defaultValue="90">
        <option value="30">{t`30 days`}</option>
        <option value="90">{t`90 days`}</option>
        <option value="365">{t`One year`}</option>
        <option value="">{t`No end`}</option>
      </Select>
      <fieldset>
        <legend className="mb-2 text-sm font-medium">
          <Trans>May do</Trans>
        </legend>
        <div className="grid gap-x-4 sm:grid-cols-2">
          {permissions.map((permission) => (
            <label key={permission} className="flex min-h-9 items-center gap-2.5 text-sm pointer-coarse:min-h-11">
              <input type="checkbox" name="scope" value={permission} defaultChecked={USUAL.includes(permission)} className="size-4 accent-accent" />
              <code className="font-mono text-[0.8125rem]">{permission}</code>
            </label>
          ))}
        </div>
      </fieldset>
      <Button type="submit" busy={busy} className="self-end">
        <Trans>Create the key</Trans>
      </Button>
    </form>
  );
}

function readKey(form: FormData) {
  const name = form.get("name");
  const days = Number(form.get("days"));
  return {
    name: typeof name === "string" ? name.trim() : "",
    scopes: form.getAll("scope").filter((scope) => typeof scope === "string"),
    ...(days > 0 ? { expires_in_days: days } : {}),
  };
}

function ShownOnce({ created, onDone }: { created: NewApiKey; onDone: () => void }) {
  const { t } = useLingui();
  return (
    <div className="flex flex-col gap-5">
      <Banner tone="warning">
        <Trans>Copy it now: it is shown only this once.</Trans>
      </Banner>
      <div className="flex items-center gap-2 rounded-xl border border-line bg-sunken py-1.5 pr-2 pl-4">
        <code className="min-w-0 flex-1 font-mono text-[0.8125rem] wrap-anywhere">{created.key}</code>
        <CopyButton text={created.key} label={t`Copy the key`} />
      </div>
      <Button className="self-end" onClick={onDone}>
        <Trans>Done</Trans>
      </Button>
    </div>
  );
}
