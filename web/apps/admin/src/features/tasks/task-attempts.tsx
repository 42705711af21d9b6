import type { Attempt } from "@ai-orchestra/api/schema";
import { formatDuration, formatNumber, formatTime } from "@ai-orchestra/ui/format.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { TASK_STATE } from "./task-state.ts";

export function TaskAttempts({ attempts }: { attempts: readonly Attempt[] }) {
  const { t, i18n } = useLingui();
  const outcomeText = (outcome: string | null) => {
    const known = Object.entries(TASK_STATE).find(([state]) => state === outcome);
    return known ? i18n._(known[1].text) : outcome;
  };
  if (attempts.length === 0) return null;
  return (
    <section>
      <h3 className="mb-2 text-sm font-medium">
        <Trans>Attempts</Trans>
      </h3>
      <ol className="flex flex-col divide-y divide-line rounded-xl border border-line">
        {attempts.map((attempt) => {
          const number = formatNumber(attempt.attempt);
          const agent = attempt.agent_name || t`no agent`;
          const seconds = attempt.started_at && attempt.ended_at ? (Date.parse(attempt.ended_at) - Date.parse(attempt.started_at)) / 1000 : undefined;
          const facts = [
            attempt.started_at ? formatTime(attempt.started_at) : undefined,
            seconds === undefined ? undefined : formatDuration(seconds),
            outcomeText(attempt.outcome),
            t`epoch ${formatNumber(attempt.epoch)}`,
          ];
          return (
            <li key={attempt.epoch} className="px-4 py-2.5 text-sm">
              <p>
                <Trans>
                  Attempt {number} on {agent}
                </Trans>
              </p>
              <p className="text-xs text-ink-faint">{facts.filter(Boolean).join(" · ")}</p>
              {attempt.error ? <p className="mt-1 text-xs text-error-text">{attempt.error.message}</p> : null}
            </li>
          );
        })}
      </ol>
    </section>
  );
}
