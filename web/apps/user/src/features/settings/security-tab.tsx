import { changePassword } from "@ai-orchestra/api/endpoints/identity";
import { ApiError } from "@ai-orchestra/api/problem";
import { Button } from "@ai-orchestra/ui/button";
import { Card, CardBody, CardHeader } from "@ai-orchestra/ui/card";
import { PasswordInput } from "@ai-orchestra/ui/input";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { toast } from "@ai-orchestra/ui/toast";
import { Trans, useLingui } from "@lingui/react/macro";
import { useUser } from "@ai-orchestra/api/stores/user";
import { useState, type SubmitEvent } from "react";
import { LONGEST_PASSWORD, PasswordHints, SHORTEST_PASSWORD } from "../identity/password-hints.tsx";
import { LoginsCard } from "./logins-card.tsx";

export function SecurityTab() {
  return (
    <div className="flex flex-col gap-6">
      <PasswordCard />
      <LoginsCard />
    </div>
  );
}

function PasswordCard() {
  const { t } = useLingui();
  const username = useUser((user) => user.profile?.username ?? "");
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string>();
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    setWrong(undefined);
    try {
      await changePassword(current, next);
      setCurrent("");
      setNext("");
      toast.success(t`Your password was changed.`);
    } catch (error) {
      if (error instanceof ApiError && error.code === "wrong_password") setWrong(t`This is not your current password.`);
      else toast.error(problemText(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Card>
      <CardHeader title={t`Password`} description={t`Your other sign-ins end when you change it.`} />
      <CardBody>
        <form onSubmit={(event) => void save(event)} className="flex flex-col gap-5">
          <input type="hidden" name="username" autoComplete="username" value={username} readOnly />
          <PasswordInput
            label={t`Current password`}
            value={current}
            onChange={(event) => {
              setCurrent(event.target.value);
            }}
            error={wrong}
            autoComplete="current-password"
            required
            showLabel={t`Show the password`}
          />
          <PasswordInput
            label={t`New password`}
            value={next}
            onChange={(event) => {
              setNext(event.target.value);
            }}
            autoComplete="new-password"
            minLength={SHORTEST_PASSWORD}
            maxLength={LONGEST_PASSWORD}
            required
            showLabel={t`Show the password`}
          />
          {next === "" ? null : <PasswordHints password={next} username={username} />}
          <Button type="submit" busy={busy} className="self-start">
            <Trans>Change the password</Trans>
          </Button>
        </form>
      </CardBody>
    </Card>
  );
}
