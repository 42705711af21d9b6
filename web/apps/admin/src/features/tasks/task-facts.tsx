import type { Task } from "@ai-orchestra/api/schema";
import { formatDateTime, formatDuration, formatNumber } from "@ai-orchestra/ui/format.ts";
import { useLingui } from "@lingui/react/macro";
import { PRIORITY } from "./task-state.ts";

export function TaskFacts({ task }: { task: Task }) {
  const { t, i18n } = useLingui();
  const seconds = task.started_at && task.finished_at ? (Date.parse(task.finished_at) - Date.parse(task.started_at)) / 1000 : undefined;
  const facts: [string, string | undefined][] = [
    [t`Agent`, task.agent_name || undefined],
    [t`Priority`, i18n._(PRIORITY[task.priority])],
    [t`Attempt`, t`${formatNumber(task.attempt)} of ${formatNumber(task.max_attempts)}`],
    [t`Submitted`, formatDateTime(task.created_at)],
    [t`Took`, seconds === undefined ? undefined : formatDuration(seconds)],
    [t`Tokens`, task.usage ? t`${formatNumber(task.usage.prompt_tokens ?? 0)} in, ${formatNumber(task.usage.completion_tokens ?? 0)} out` : undefined],
  ];
  return (
    <dl className="grid grid-cols-2 gap-x-6 gap-y-4 sm:grid-cols-3">
      {facts.map(([name, value]) =>
        value === undefined ? null : (
          <div key={name} className="min-w-0">
            <dt className="text-xs text-ink-faint">{name}</dt>
            <dd className="mt-0.5 truncate text-sm">{value}</dd>
          </div>
        ),
      )}
    </dl>
  );
}
