import { forgetAgent } from "@ai-orchestra/api/endpoints/agents";
import type { Agent } from "@ai-orchestra/api/schema";
import { dropAgent } from "@ai-orchestra/api/stores/realtime";
import { Badge } from "@ai-orchestra/ui/badge";
import { Button, buttonClass } from "@ai-orchestra/ui/button";
import { ConfirmDialog } from "@ai-orchestra/ui/confirm-dialog";
import { formatDuration, formatNumber, formatPercent, formatRelative } from "@ai-orchestra/ui/format.ts";
import { BotIcon } from "@ai-orchestra/ui/icons";
import { Meter } from "@ai-orchestra/ui/meter";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { toast } from "@ai-orchestra/ui/toast";
import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { memo, useState } from "react";
import { AGENT_STATUS } from "./agent-status.ts";

export const AgentCard = memo(function AgentCard({ agent }: { agent: Agent }) {
  const { i18n } = useLingui();
  const status = AGENT_STATUS[agent.status];
  return (
    <li className="flex flex-col gap-4 rounded-2xl border border-line bg-surface p-5 shadow-soft">
      <div className="flex items-start gap-3">
        <span className="flex size-10 shrink-0 items-center justify-center rounded-xl bg-hover text-ink-soft">
          <BotIcon className="size-5" />
        </span>
        <div className="min-w-0 flex-1">
          <h2 className="truncate font-medium">{agent.name}</h2>
          <p className="truncate text-[0.8125rem] text-ink-faint">{agent.capabilities.join(" · ")}</p>
        </div>
        <Badge tone={status.tone} dot>
          {i18n._(status.text)}
        </Badge>
      </div>
      {agent.reason ? <p className="rounded-xl bg-sunken px-3.5 py-2 text-[0.8125rem] text-ink-soft">{agent.reason}</p> : null}
      <Resources agent={agent} />
      <Facts agent={agent} />
      <Actions agent={agent} />
    </li>
  );
});

function Resources({ agent }: { agent: Agent }) {
  const { t } = useLingui();
  const { resources, slots, slots_in_use: used } = agent;
  return (
    <div className="grid grid-cols-2 gap-x-6 gap-y-4">
      <Meter calm label={t`Slots in use`} value={slots > 0 ? used / slots : 0} text={`${formatNumber(used)} / ${formatNumber(slots)}`} />
      {resources ? (
        <>
          <Meter label={t`CPU`} value={resources.cpu_usage} text={formatPercent(resources.cpu_usage)} />
          <Meter label={t`Memory`} value={resources.memory_usage} text={formatPercent(resources.memory_usage)} />
          <Meter label={t`Disk`} value={resources.disk_usage} text={formatPercent(resources.disk_usage)} />
        </>
      ) : null}
    </div>
  );
}

function Facts({ agent }: { agent: Agent }) {
  const { t } = useLingui();
  const { performance } = agent;
  const facts = [
    agent.version ? t`Version ${agent.version}` : undefined,
    t`${formatNumber(performance.tasks_completed)} done, ${formatNumber(performance.tasks_failed)} failed`,
    performance.tasks_completed > 0 ? t`${formatDuration(performance.average_duration_seconds)} on average` : undefined,
    agent.last_heartbeat ? t`seen ${formatRelative(agent.last_heartbeat)}` : undefined,
  ];
  return <p className="text-[0.8125rem] text-ink-faint">{facts.filter(Boolean).join(" · ")}</p>;
}

function Actions({ agent }: { agent: Agent }) {
  const { t } = useLingui();
  const [asking, setAsking] = useState(false);
  const forget = async () => {
    try {
      await forgetAgent(agent.id);
      dropAgent(agent.id);
    } catch (error) {
      toast.error(problemText(error));
      setAsking(false);
    }
  };
  return (
    <div className="mt-auto flex gap-2">
      <Link to="/tasks" search={{ agent_id: agent.id }} className={buttonClass("outline", "sm")}>
        <Trans>Its tasks</Trans>
      </Link>
      {agent.status === "offline" || agent.status === "never_connected" ? (
        <Button
          variant="ghost"
          size="sm"
          onClick={() => {
            setAsking(true);
          }}
        >
          <Trans>Forget</Trans>
        </Button>
      ) : null}
      <ConfirmDialog
        open={asking}
        onClose={() => {
          setAsking(false);
        }}
        onConfirm={forget}
        title={t`Forget “${agent.name}”?`}
        description={t`Its key stops working. To connect again it has to be added again.`}
        confirmLabel={t`Forget`}
        cancelLabel={t`Cancel`}
      />
    </div>
  );
}
