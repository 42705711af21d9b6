import { Card, CardHeader } from "@ai-orchestra/ui/card";
import { EmptyState } from "@ai-orchestra/ui/empty-state";
import { ListChecksIcon } from "@ai-orchestra/ui/icons";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { SkeletonRows } from "@ai-orchestra/ui/skeleton";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { latestTasksQuery } from "../tasks/queries.ts";
import { TaskRow } from "../tasks/task-row.tsx";

export function LatestTasks() {
  const { t } = useLingui();
  const { data, error } = useQuery(latestTasksQuery());
  return (
    <Card>
      <CardHeader
        title={t`Latest tasks`}
        action={
          <Link to="/tasks" className="rounded text-sm font-medium text-accent-text hover:underline">
            <Trans>See all</Trans>
          </Link>
        }
      />
      {error ? <p className="px-6 pb-6 text-sm text-ink-soft">{problemText(error)}</p> : null}
      {!data && !error ? (
        <div className="px-6 pb-6">
          <SkeletonRows rows={6} />
        </div>
      ) : null}
      {data?.length === 0 ? <EmptyState icon={<ListChecksIcon className="size-6" />} title={t`No tasks yet`} /> : null}
      <ul className="px-2 pb-3">{data?.map((task) => <TaskRow key={task.id} task={task} search={{ task: task.id }} />)}</ul>
    </Card>
  );
}
