import { buttonClass } from "@ai-orchestra/ui/button";
import { EmptyState } from "@ai-orchestra/ui/empty-state";
import { ShieldCheckIcon } from "@ai-orchestra/ui/icons";
import { Trans, useLingui } from "@lingui/react/macro";

/** For those who are signed in but do not administer. */
export function NotForYou() {
  const { t } = useLingui();
  return (
    <main className="flex min-h-dvh items-center justify-center">
      <EmptyState
        icon={<ShieldCheckIcon className="size-6" />}
        title={t`This part is for administrators`}
        description={t`Your role does not include it. If you need it, ask an administrator to change your role.`}
        action={
          <a href="/" className={buttonClass()}>
            <Trans>Back to the app</Trans>
          </a>
        }
      />
    </main>
  );
}
