import { signInByLink } from "@ai-orchestra/api/endpoints/identity";
import { Banner } from "@ai-orchestra/ui/banner";
import { Button } from "@ai-orchestra/ui/button";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";
import { AuthCard } from "./auth-card.tsx";
import { useEnter } from "./use-enter.ts";

/** Asks for a click: a link scanner that only opens the page does not use the link up. */
export function LinkSignIn({ token }: { token: string }) {
  const { t } = useLingui();
  const enter = useEnter();
  const [problem, setProblem] = useState<string>();
  const go = async () => {
    try {
      await enter(await signInByLink(token));
    } catch (error) {
      setProblem(problemText(error));
    }
  };
  return (
    <AuthCard title={t`Your sign-in link is ready`} description={t`It signs this browser in, once.`}>
      <div className="flex flex-col gap-5">
        {problem ? <Banner tone="error">{problem}</Banner> : null}
        <Button size="lg" onClick={go}>
          <Trans>Sign in</Trans>
        </Button>
      </div>
    </AuthCard>
  );
}
