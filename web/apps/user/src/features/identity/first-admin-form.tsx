import { setUp } from "@ai-orchestra/api/endpoints/identity";
import { ApiError } from "@ai-orchestra/api/problem";
import { Banner } from "@ai-orchestra/ui/banner";
import { Button } from "@ai-orchestra/ui/button";
import { Input, PasswordInput } from "@ai-orchestra/ui/input";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { useState, type SubmitEvent } from "react";
import { AuthCard } from "./auth-card.tsx";
import { LONGEST_PASSWORD, PasswordHints, SHORTEST_PASSWORD } from "./password-hints.tsx";
import { useEnter } from "./use-enter.ts";

export function FirstAdminForm({ token }: { token: string }) {
  const { t } = useLingui();
  const enter = useEnter();
  const [username, setUsername] = useState("");
  const [displayName, setDisplayName] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);

  const submit = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const name = displayName.trim();
      await enter(await setUp({ token, username: username.trim(), password, ...(name ? { display_name: name } : {}) }));
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };

  const fieldError = (name: string) =>
    error instanceof ApiError ? error.fields.find((field) => field.field.endsWith(name))?.message : undefined;
  const general = error && !(error instanceof ApiError && error.fields.length > 0) ? problemText(error) : undefined;

  return (
    <AuthCard title={t`Set up AI Orchestra`} description={t`Create the first administrator. You can invite others afterwards.`}>
      <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-5">
        {general ? <Banner tone="error">{general}</Banner> : null}
        <Input
          label={t`User name`}
          name="username"
          value={username}
          onChange={(event) => {
            setUsername(event.target.value);
          }}
          error={fieldError("username")}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={50}
          required
          autoFocus
        />
        <Input
          label={t`Display name (optional)`}
          name="display_name"
          value={displayName}
          onChange={(event) => {
            setDisplayName(event.target.value);
          }}
          error={fieldError("display_name")}
          hint={t`How the interface greets you.`}
          autoComplete="name"
          maxLength={100}
        />
        <PasswordInput
          label={t`Password`}
          name="password"
          value={password}
          onChange={(event) => {
            setPassword(event.target.value);
          }}
          error={fieldError("password")}
          autoComplete="new-password"
          minLength={SHORTEST_PASSWORD}
          maxLength={LONGEST_PASSWORD}
          required
          showLabel={t`Show the password`}
        />
        <PasswordHints password={password} username={username.trim()} />
        <Button type="submit" size="lg" busy={busy} className="mt-1">
          <Trans>Create the administrator</Trans>
        </Button>
      </form>
    </AuthCard>
  );
}
