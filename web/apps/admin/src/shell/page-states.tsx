import { Button, buttonClass } from "@ai-orchestra/ui/button";
import { EmptyState } from "@ai-orchestra/ui/empty-state";
import { CircleAlertIcon, SearchIcon } from "@ai-orchestra/ui/icons";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { Spinner } from "@ai-orchestra/ui/spinner";
import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useRouter, type ErrorComponentProps } from "@tanstack/react-router";

export function PagePending() {
  const { t } = useLingui();
  return (
    <div role="status" className="flex min-h-[60dvh] items-center justify-center text-ink-faint">
      <Spinner className="size-6" />
      <span className="sr-only">{t`Loading`}</span>
    </div>
  );
}

export function PageError({ error }: ErrorComponentProps) {
  const { t } = useLingui();
  const router = useRouter();
  return (
    <main className="flex min-h-[70dvh] items-center justify-center">
      <EmptyState
        icon={<CircleAlertIcon className="size-6" />}
        title={t`This page could not be shown`}
        description={problemText(error)}
        action={
          <Button onClick={() => router.invalidate()}>
            <Trans>Try again</Trans>
          </Button>
        }
      />
    </main>
  );
}

export function PageNotFound() {
  const { t } = useLingui();
  return (
    <main className="flex min-h-[70dvh] items-center justify-center">
      <EmptyState
        icon={<SearchIcon className="size-6" />}
        title={t`There is nothing here`}
        description={t`The address may be mistyped, or the page has moved.`}
        action={
          <Link to="/" className={buttonClass()}>
            <Trans>Go to the home page</Trans>
          </Link>
        }
      />
    </main>
  );
}
