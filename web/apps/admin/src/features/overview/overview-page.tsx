import type { SystemMetrics } from "@ai-orchestra/api/schema";
import { useRealtime } from "@ai-orchestra/api/stores/realtime";
import { Card, CardBody, CardHeader } from "@ai-orchestra/ui/card";
import { formatNumber, formatPercent } from "@ai-orchestra/ui/format.ts";
import { Meter } from "@ai-orchestra/ui/meter";
import { Skeleton } from "@ai-orchestra/ui/skeleton";
import { useTitle } from "@ai-orchestra/ui/use-title.ts";
import { useLingui } from "@lingui/react/macro";
import { PageHeader } from "../../shell/page-header.tsx";
import { useAgents } from "@ai-orchestra/api/use-agents";
import { AgentsCard } from "./agents-card.tsx";
import { FigureCard } from "./figure-card.tsx";
import { LatestTasks } from "./latest-tasks.tsx";

export function OverviewPage() {
  const { t } = useLingui();
  useTitle(t`Overview`);
  const metrics = useRealtime((state) => state.metrics);
  return (
    <>
      <PageHeader title={t`Overview`} description={t`Live, every two seconds.`} />
      <Figures metrics={metrics} />
      <div className="mt-6 grid grid-cols-1 items-start gap-6 lg:grid-cols-[minmax(0,1fr)_22rem]">
        <LatestTasks />
        <div className="flex flex-col gap-6">
          <Load metrics={metrics} />
          <AgentsCard />
        </div>
      </div>
    </>
  );
}

function Figures({ metrics }: { metrics: SystemMetrics | undefined }) {
  const { t } = useLingui();
  const { agents } = useAgents();
  const online = metrics?.agents_online ?? agents?.filter((agent) => agent.status !== "offline").length;
  const total = metrics?.agents_total ?? agents?.length;
  const figure = (value: number | undefined) => (value === undefined ? undefined : formatNumber(value));
  return (
    <div className="grid grid-cols-2 gap-4 lg:grid-cols-4">
      <FigureCard label={t`Agents online`} value={figure(online)} detail={total === undefined ? undefined : t`of ${formatNumber(total)}`} link={{ to: "/agents" }} />
      <FigureCard label={t`Tasks running`} value={figure(metrics?.tasks_running)} link={{ to: "/tasks", search: { state: "running" } }} />
      <FigureCard label={t`Tasks waiting`} value={figure(metrics?.tasks_queued)} link={{ to: "/tasks", search: { state: "queued" } }} />
      <FigureCard label={t`Finished per minute`} value={figure(metrics?.tasks_finished_per_minute)} link={{ to: "/tasks", search: { state: "succeeded" } }} />
    </div>
  );
}

function Load({ metrics }: { metrics: SystemMetrics | undefined }) {
  const { t } = useLingui();
  return (
    <Card>
      <CardHeader title={t`Load of the server`} />
      <CardBody className="flex flex-col gap-5">
        {metrics ? (
          <>
            <Meter label={t`CPU`} value={metrics.cpu_usage} text={formatPercent(metrics.cpu_usage)} />
            <Meter label={t`Memory`} value={metrics.memory_usage} text={formatPercent(metrics.memory_usage)} />
          </>
        ) : (
          <>
            <Skeleton className="h-7" />
            <Skeleton className="h-7" />
          </>
        )}
      </CardBody>
    </Card>
  );
}
