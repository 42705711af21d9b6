import { signIn } from "@ai-orchestra/api/endpoints/identity";
import { Banner } from "@ai-orchestra/ui/banner";
import { Button } from "@ai-orchestra/ui/button";
import { Input, PasswordInput } from "@ai-orchestra/ui/input";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { useTitle } from "@ai-orchestra/ui/use-title.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { getRouteApi } from "@tanstack/react-router";
import { useState, type SubmitEvent } from "react";
import { AuthCard } from "./auth-card.tsx";
import { useEnter } from "./use-enter.ts";

const route = getRouteApi("/login");

export function LoginPage() {
  const { t } = useLingui();
  useTitle(t`Sign in`);
  const { next } = route.useSearch();
  const enter = useEnter();
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState(false);

  const submit = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    setProblem(undefined);
    try {
      await enter(await signIn(text(form, "username").trim(), text(form, "password")), next);
    } catch (error) {
      setProblem(problemText(error));
      setBusy(false);
    }
  };

  return (
    <AuthCard title={t`Welcome back`} description={t`Sign in to talk to your agents.`}>
      <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-5">
        {problem ? <Banner tone="error">{problem}</Banner> : null}
        <Input label={t`User name`} name="username" autoComplete="username" autoCapitalize="none" spellCheck={false} required autoFocus />
        <PasswordInput label={t`Password`} name="password" autoComplete="current-password" required showLabel={t`Show the password`} />
        <Button type="submit" size="lg" busy={busy} className="mt-1">
          <Trans>Sign in</Trans>
        </Button>
      </form>
    </AuthCard>
  );
}

function text(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value : "";
}
