import { checkLink } from "@ai-orchestra/api/endpoints/identity";
import { ApiError } from "@ai-orchestra/api/problem";
import { Button, buttonClass } from "@ai-orchestra/ui/button";
import { CircleAlertIcon } from "@ai-orchestra/ui/icons";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { Skeleton } from "@ai-orchestra/ui/skeleton";
import { useTitle } from "@ai-orchestra/ui/use-title.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { AuthCard } from "./auth-card.tsx";
import { FirstAdminForm } from "./first-admin-form.tsx";
import { InvitedForm } from "./invited-form.tsx";

/** The one-time token stands in the fragment, which no server log sees; it is taken out of the address bar at once. */
function takeToken(): string {
  const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  if (token) history.replaceState(history.state, "", location.pathname);
  return token;
}

let taken: string | undefined;

export function SetupPage() {
  const { t } = useLingui();
  useTitle(t`Set up`);
  // Read once per page load: by the second render the fragment is gone.
  const [token] = useState(() => (taken ??= takeToken()));
  const link = useQuery({ queryKey: ["link"], queryFn: () => checkLink(token), enabled: token !== "", staleTime: Infinity, gcTime: 0 });

  if (token === "" || isUsedUp(link.error)) return <LinkInvalid />;
  if (link.error) {
    return (
      <AuthCard title={t`The link could not be checked`} description={problemText(link.error)}>
        <Button size="lg" className="w-full" onClick={() => link.refetch()}>
          <Trans>Try again</Trans>
        </Button>
      </AuthCard>
    );
  }
  if (!link.data) return <Checking />;
  return link.data.needs_account ? <FirstAdminForm token={token} /> : <InvitedForm token={token} username={link.data.username ?? ""} />;
}

function isUsedUp(error: unknown): boolean {
  return error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429;
}

function Checking() {
  const { t } = useLingui();
  return (
    <AuthCard title={t`Checking your link…`}>
      <div className="flex flex-col gap-5">
        <Skeleton className="h-11" />
        <Skeleton className="h-11" />
        <Skeleton className="h-12" />
      </div>
    </AuthCard>
  );
}

function LinkInvalid() {
  const { t } = useLingui();
  return (
    <AuthCard title={t`This link cannot be used`}>
      <div className="flex flex-col items-center gap-5 text-center">
        <CircleAlertIcon className="size-8 text-warning-text" />
        <p className="text-sm text-ink-soft">
          <Trans>
            A link works once and for a short time. Run <code className="rounded bg-hover px-1.5 py-0.5 font-mono text-[0.8125rem]">orchestra users link NAME</code> on the server for a new one.
          </Trans>
        </p>
        <Link to="/login" className={buttonClass("outline")}>
          <Trans>Sign in with a password</Trans>
        </Link>
      </div>
    </AuthCard>
  );
}
