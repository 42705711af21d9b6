import { Trans, useLingui } from "@lingui/react/macro";
import { Button, buttonClass } from "./button.tsx";
import { EmptyState } from "./empty-state.tsx";
import { CircleAlertIcon, SearchIcon } from "./icons.ts";
import { problemText } from "./problem-text.ts";
import { Spinner } from "./spinner.tsx";

export function PagePending() {
  const { t } = useLingui();
  return (
    <div role="status" className="flex min-h-[60dvh] items-center justify-center text-ink-faint">
      <Spinner className="size-6" />
      <span className="sr-only">{t`Loading`}</span>
    </div>
  );
}

export function PageError({ error, onRetry }: { error: unknown; onRetry: () => Promise<unknown> }) {
  const { t } = useLingui();
  return (
    <main className="flex min-h-[70dvh] items-center justify-center">
      <EmptyState
        icon={<CircleAlertIcon className="size-6" />}
        title={t`This page could not be shown`}
        description={problemText(error)}
        action={
          <Button onClick={onRetry}>
            <Trans>Try again</Trans>
          </Button>
        }
      />
    </main>
  );
}

/** `home` is the address of the application's first page. */
export function PageNotFound({ home }: { home: string }) {
  const { t } = useLingui();
  return (
    <main className="flex min-h-[70dvh] items-center justify-center">
      <EmptyState
        icon={<SearchIcon className="size-6" />}
        title={t`There is nothing here`}
        description={t`The address may be mistyped, or the page has moved.`}
        action={
          <a href={home} className={buttonClass()}>
            <Trans>Go to the home page</Trans>
          </a>
        }
      />
    </main>
  );
}
