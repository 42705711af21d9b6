import type { TaskState } from "@ai-orchestra/api/schema";
import { Trans } from "@lingui/react/macro";
import { useEffect, useState } from "react";

/** A queue that is passed quickly is not worth a word. */
const WORTH_SAYING_MS = 1_500;

/** Before the first word of an answer: three calm dots, and why it takes long when it does. */
export function Thinking({ phase }: { phase: TaskState | undefined }) {
  const [long, setLong] = useState(false);
  // Waits until the wait is worth a word.
  useEffect(() => {
    const timer = setTimeout(() => {
      setLong(true);
    }, WORTH_SAYING_MS);
    return () => {
      clearTimeout(timer);
    };
  }, []);
  return (
    <div role="status" className="flex h-7 items-center gap-3 text-sm text-ink-faint">
      <span aria-hidden="true" className="flex gap-1.5">
        <span className="size-2 animate-blink rounded-full bg-primary-500" />
        <span className="size-2 animate-blink rounded-full bg-primary-500 [animation-delay:180ms]" />
        <span className="size-2 animate-blink rounded-full bg-primary-500 [animation-delay:360ms]" />
      </span>
      {long && phase === "queued" ? <Trans>Waiting for a free agent…</Trans> : null}
      {long && phase === "running" ? <Trans>Thinking…</Trans> : null}
      {long && phase === "waiting" ? <Trans>Waiting for a reply or for a part of the work…</Trans> : null}
      {phase === "cancelling" ? <Trans>Stopping…</Trans> : null}
      {long ? null : (
        <span className="sr-only">
          <Trans>Answering…</Trans>
        </span>
      )}
    </div>
  );
}
