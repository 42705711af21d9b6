import { cancelTask } from "@ai-orchestra/api/endpoints/tasks";
import { isTerminal } from "@ai-orchestra/api/realtime/task-progress";
import type { TaskDetail } from "@ai-orchestra/api/schema";
import { Badge } from "@ai-orchestra/ui/badge";
import { Banner } from "@ai-orchestra/ui/banner";
import { Button } from "@ai-orchestra/ui/button";
import { Drawer } from "@ai-orchestra/ui/dialog";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { SkeletonRows } from "@ai-orchestra/ui/skeleton";
import { toast } from "@ai-orchestra/ui/toast";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { taskQuery } from "./queries.ts";
import { TaskAttempts } from "./task-attempts.tsx";
import { TaskFacts } from "./task-facts.tsx";
import { TaskOutput } from "./task-output.tsx";
import { TASK_STATE } from "./task-state.ts";
import { TextBlock } from "./text-block.tsx";

export function TaskDrawer({ id, onClose }: { id: string | undefined; onClose: () => void }) {
  const { t } = useLingui();
  const { data: task, error } = useQuery({ ...taskQuery(id ?? ""), enabled: id !== undefined });
  return (
    <Drawer
      side="right"
      open={id !== undefined}
      onClose={onClose}
      title={task?.capability ?? t`Task`}
      description={<span className="font-mono text-xs wrap-anywhere">{id}</span>}
      closeLabel={t`Close`}
    >
      {error ? <Banner tone="error">{problemText(error)}</Banner> : null}
      {!task && !error ? <SkeletonRows rows={5} /> : null}
      {task ? <Details task={task} /> : null}
    </Drawer>
  );
}

function Details({ task }: { task: TaskDetail }) {
  const { t, i18n } = useLingui();
  const client = useQueryClient();
  const cancel = async () => {
    try {
      await cancelTask(task.id);
      await client.invalidateQueries({ queryKey: ["tasks"] });
    } catch (error) {
      toast.error(problemText(error));
    }
  };
  return (
    <div className="flex flex-col gap-7">
      <div className="flex items-center justify-between gap-4">
        <Badge tone={TASK_STATE[task.state].tone} dot>
          {i18n._(TASK_STATE[task.state].text)}
        </Badge>
        {isTerminal(task.state) ? null : (
          <Button variant="outline" size="sm" disabled={task.state === "cancelling"} onClick={cancel}>
            <Trans>Cancel the task</Trans>
          </Button>
        )}
      </div>
      {task.error ? (
        <Banner tone="error">
          <span className="font-medium">{task.error.code}</span>
          <br />
          {task.error.message}
        </Banner>
      ) : null}
      <TaskFacts task={task} />
      <TaskOutput key={task.id} task={task} />
      <TextBlock title={t`Input`} value={task.input} />
      <TaskAttempts attempts={task.attempts} />
    </div>
  );
}
