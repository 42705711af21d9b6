import { setUp } from "@ai-orchestra/api/endpoints/identity";
import { Banner } from "@ai-orchestra/ui/banner";
import { Button } from "@ai-orchestra/ui/button";
import { PasswordInput } from "@ai-orchestra/ui/input";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { useState, type SubmitEvent } from "react";
import { AuthCard } from "./auth-card.tsx";
import { LONGEST_PASSWORD, PasswordHints, SHORTEST_PASSWORD } from "./password-hints.tsx";
import { useEnter } from "./use-enter.ts";

/** For somebody whom an administrator invited, or who lost the password. */
export function InvitedForm({ token, username }: { token: string; username: string }) {
  const { t } = useLingui();
  const enter = useEnter();
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem(undefined);
    try {
      await enter(await setUp({ token, password }));
    } catch (error) {
      setProblem(problemText(error));
      setBusy(false);
    }
  };
  return (
    <AuthCard title={t`Welcome, ${username}`} description={t`Choose a password. With it you sign in from now on.`}>
      <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-5">
        {problem ? <Banner tone="error">{problem}</Banner> : null}
        <input type="hidden" name="username" autoComplete="username" value={username} readOnly />
        <PasswordInput
          label={t`Password`}
          name="password"
          value={password}
          onChange={(event) => {
            setPassword(event.target.value);
          }}
          autoComplete="new-password"
          minLength={SHORTEST_PASSWORD}
          maxLength={LONGEST_PASSWORD}
          required
          autoFocus
          showLabel={t`Show the password`}
        />
        <PasswordHints password={password} username={username} />
        <Button type="submit" size="lg" busy={busy} className="mt-1">
          <Trans>Save and sign in</Trans>
        </Button>
      </form>
    </AuthCard>
  );
}
