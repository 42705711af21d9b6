import { createProvider, type NewProvider } from "@ai-orchestra/api/endpoints/providers";
import type { ProviderKind } from "@ai-orchestra/api/schema";
import { Banner } from "@ai-orchestra/ui/banner";
import { Button } from "@ai-orchestra/ui/button";
import { Dialog } from "@ai-orchestra/ui/dialog";
import { Input, PasswordInput, Select } from "@ai-orchestra/ui/input";
import { toast } from "@ai-orchestra/ui/toast";
import { useSubmission } from "@ai-orchestra/ui/use-submission.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { useState, type SubmitEvent } from "react";

/** What the server takes when the field stays empty. */
const USUAL_URL: Record<ProviderKind, string> = { openai: "https://api.openai.com/v1", anthropic: "https://api.anthropic.com" };

export function NewProviderDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useLingui();
  return (
    <Dialog open={open} onClose={onClose} title={t`Add a provider`} closeLabel={t`Close`}>
      <Form onDone={onClose} />
    </Dialog>
  );
}

function Form({ onDone }: { onDone: () => void }) {
  const { t } = useLingui();
  const client = useQueryClient();
  const [kind, setKind] = useState<ProviderKind>("openai");
  const { busy, problem, submit } = useSubmission();
  const add = async (provider: NewProvider) => {
    await createProvider(provider);
    await Promise.all([client.invalidateQueries({ queryKey: ["providers"] }), client.invalidateQueries({ queryKey: ["models"] })]);
    toast.success(t`The provider was added. Test its connection next.`);
    onDone();
  };
  const onSubmit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const provider = readProvider(new FormData(event.currentTarget), kind);
    void submit(() => add(provider));
  };
  return (
    <form onSubmit={onSubmit} className="flex flex-col gap-5">
      {problem ? <Banner tone="error">{problem}</Banner> : null}
      <Select
        label={t`Kind`}
        value={kind}
        onChange={(event) => {
          setKind(event.target.value === "anthropic" ? "anthropic" : "openai");
        }}
        hint={kind === "openai" ? t`Also for every service that speaks the same protocol.` : undefined}
      >
        <option value="openai">{t`OpenAI or compatible`}</option>
        <option value="anthropic">Anthropic</option>
      </Select>
      <Input
        label={t`Name`}
        name="name"
        placeholder={kind}
        hint={t`Lower-case letters, digits and . _ - only: it begins the names of its models.`}
        autoCapitalize="none"
        spellCheck={false}
        maxLength={50}
        required
      />
      <Input label={t`Base URL (optional)`} name="base_url" type="url" placeholder={USUAL_URL[kind]} spellCheck={false} />
      <PasswordInput label={t`API key`} name="api_key" autoComplete="off" showLabel={t`Show the key`} hint={t`Stored encrypted; only its last 4 characters are shown again.`} />
      <Button type="submit" busy={busy} className="self-end">
        <Trans>Add</Trans>
      </Button>
    </form>
  );
}

function readProvider(form: FormData, kind: ProviderKind): NewProvider {
  const text = (name: string) => {
    const value = form.get(name);
    return typeof value === "string" ? value.trim() : "";
  };
  const provider: NewProvider = { name: text("name"), kind };
  if (text("base_url")) provider.base_url = text("base_url");
  if (text("api_key")) provider.api_key = text("api_key");
  return provider;
}
