import { Button } from "@ai-orchestra/ui/button";
import { Card } from "@ai-orchestra/ui/card";
import { EmptyState } from "@ai-orchestra/ui/empty-state";
import { ListChecksIcon } from "@ai-orchestra/ui/icons";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { SkeletonRows } from "@ai-orchestra/ui/skeleton";
import { useTitle } from "@ai-orchestra/ui/use-title.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { PageHeader } from "../../shell/page-header.tsx";
import { tasksQuery } from "./queries.ts";
import { TaskDrawer } from "./task-drawer.tsx";
import { TaskFilters } from "./task-filters.tsx";
import { TaskRow } from "./task-row.tsx";

const route = getRouteApi("/admin/tasks");

export function TasksPage() {
  const { t } = useLingui();
  useTitle(t`Tasks`);
  const { task: opened, ...filter } = route.useSearch();
  const navigate = route.useNavigate();
  const query = useInfiniteQuery(tasksQuery(filter));
  const tasks = query.data?.pages.flatMap((page) => page.items);
  const filtered = Object.keys(filter).length > 0;
  return (
    <>
      <PageHeader title={t`Tasks`} description={t`The list follows what happens.`} />
      <TaskFilters filter={filter} onChange={(changed) => void navigate({ search: changed, replace: true })} />
      <Card>
        {query.error && !tasks ? <p className="p-6 text-sm text-ink-soft">{problemText(query.error)}</p> : null}
        {query.isPending ? (
          <div className="p-5">
            <SkeletonRows rows={8} />
          </div>
        ) : null}
        {tasks?.length === 0 ? (
          <EmptyState icon={<ListChecksIcon className="size-6" />} title={filtered ? t`No task fits these filters` : t`No tasks yet`} />
        ) : null}
        <ul className="divide-y divide-line p-1">
          {tasks?.map((task) => (
            <TaskRow key={task.id} task={task} search={{ ...filter, task: task.id }} />
          ))}
        </ul>
        {query.hasNextPage ? (
          <div className="flex justify-center border-t border-line p-3">
            <Button variant="ghost" size="sm" onClick={() => query.fetchNextPage()}>
              <Trans>Show older ones</Trans>
            </Button>
          </div>
        ) : null}
      </Card>
      <TaskDrawer id={opened} onClose={() => void navigate({ search: filter })} />
    </>
  );
}
