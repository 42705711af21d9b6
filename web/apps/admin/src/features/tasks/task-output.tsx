import { isTerminal } from "@ai-orchestra/api/realtime/task-progress";
import { taskStream } from "@ai-orchestra/api/realtime/task-stream";
import type { Task } from "@ai-orchestra/api/schema";
import { Meter } from "@ai-orchestra/ui/meter";
import { formatPercent } from "@ai-orchestra/ui/format.ts";
import { useLingui } from "@lingui/react/macro";
import { useMemo, useSyncExternalStore } from "react";
import { TextBlock } from "./text-block.tsx";

/** The result, or what the agent has written so far. */
export function TaskOutput({ task }: { task: Task }) {
  const { t } = useLingui();
  if (!isTerminal(task.state)) return <LiveOutput taskId={task.id} />;
  if (task.result === null || task.result === undefined) return null;
  const text = (task.result as { text?: unknown }).text;
  return <TextBlock title={t`Result`} value={typeof text === "string" ? text : task.result} />;
}

function LiveOutput({ taskId }: { taskId: string }) {
  const { t } = useLingui();
  const stream = useMemo(() => taskStream(taskId), [taskId]);
  const progress = useSyncExternalStore(stream.subscribe, stream.snapshot);
  const fraction = progress.progress?.fraction;
  return (
    <>
      {fraction == null ? null : <Meter label={progress.progress?.message ?? t`Progress`} value={fraction} text={formatPercent(fraction)} />}
      {progress.text === "" ? null : <TextBlock title={t`Written so far`} value={progress.text} />}
    </>
  );
}
