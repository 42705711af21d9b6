import { useConnection } from "@ai-orchestra/api/stores/connection";
import { CloudOffIcon } from "@ai-orchestra/ui/icons";
import { Trans } from "@lingui/react/macro";

/** Floats over the page instead of pushing it, and goes by itself: a lost connection heals without the user. */
export function ConnectionBanner() {
  const lost = useConnection((connection) => connection.status !== "connected" && connection.retryCount > 0);
  const offline = useConnection((connection) => connection.status === "disconnected" && connection.retryCount === 0 && !navigator.onLine);
  return (
    <div role="status" className="pointer-events-none fixed inset-x-0 top-[calc(env(safe-area-inset-top)+4.25rem)] z-20 flex justify-center px-4">
      {lost || offline ? (
        <p className="flex animate-rise-in items-center gap-2.5 rounded-full border border-line bg-surface px-4 py-2 text-sm text-ink-soft shadow-float">
          <CloudOffIcon className="size-4 text-warning-text" />
          <Trans>Connection lost. Reconnecting…</Trans>
        </p>
      ) : null}
    </div>
  );
}
