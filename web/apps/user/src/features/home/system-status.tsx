import type { Agent, AgentStatus } from "@ai-orchestra/api/schema";
import { Badge, type Tone } from "@ai-orchestra/ui/badge";
import { Card, CardBody, CardHeader } from "@ai-orchestra/ui/card";
import { formatNumber } from "@ai-orchestra/ui/format.ts";
import { BotIcon } from "@ai-orchestra/ui/icons";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { SkeletonRows } from "@ai-orchestra/ui/skeleton";
import { msg } from "@lingui/core/macro";
import { Trans, useLingui } from "@lingui/react/macro";
import { useAgents } from "@ai-orchestra/api/use-agents";

const STATUS = {
  online: { tone: "success", text: msg`Online` },
  busy: { tone: "accent", text: msg`Busy` },
  draining: { tone: "warning", text: msg`Finishing up` },
  quarantined: { tone: "error", text: msg`Quarantined` },
  unhealthy: { tone: "error", text: msg`Unhealthy` },
  offline: { tone: "neutral", text: msg`Offline` },
  never_connected: { tone: "neutral", text: msg`Never connected` },
} as const satisfies Record<AgentStatus, { tone: Tone; text: unknown }>;

/** More would make the card longer than the list beside it. */
const SHOWN = 6;

export function SystemStatus() {
  const { t } = useLingui();
  const { agents, error } = useAgents();
  const ready = agents?.filter((agent) => agent.status === "online" || agent.status === "busy").length ?? 0;
  return (
    <Card>
      <CardHeader title={t`System status`} action={agents ? <Overall ready={ready} /> : null} />
      <CardBody>
        {error && !agents ? <p className="text-sm text-ink-soft">{problemText(error)}</p> : null}
        {!agents && !error ? <SkeletonRows rows={3} className="h-10" /> : null}
        {agents ? (
          <p className="mb-4 text-sm text-ink-soft">
            <Trans>
              {formatNumber(ready)} of {formatNumber(agents.length)} agents ready
            </Trans>
          </p>
        ) : null}
        <ul className="flex flex-col gap-3.5">{agents?.slice(0, SHOWN).map((agent) => <AgentRow key={agent.id} agent={agent} />)}</ul>
      </CardBody>
    </Card>
  );
}

function Overall({ ready }: { ready: number }) {
  return ready > 0 ? (
    <Badge tone="success" dot>
      <Trans>Operational</Trans>
    </Badge>
  ) : (
    <Badge tone="warning" dot>
      <Trans>No agent online</Trans>
    </Badge>
  );
}

function AgentRow({ agent }: { agent: Agent }) {
  const { i18n } = useLingui();
  const status = STATUS[agent.status];
  return (
    <li className="flex items-center gap-3">
      <span className="flex size-9 shrink-0 items-center justify-center rounded-xl bg-hover text-ink-soft">
        <BotIcon className="size-[1.125rem]" />
      </span>
      <span className="min-w-0 flex-1">
        <span className="block truncate text-sm font-medium">{agent.name}</span>
        <span className="block truncate text-xs text-ink-faint">{agent.reason === "" ? agent.capabilities.join(" · ") : agent.reason}</span>
      </span>
      <Badge tone={status.tone} dot>
        {i18n._(status.text)}
      </Badge>
    </li>
  );
}
