import { Badge } from "@ai-orchestra/ui/badge";
import { Card, CardBody, CardHeader } from "@ai-orchestra/ui/card";
import { formatNumber } from "@ai-orchestra/ui/format.ts";
import { SkeletonRows } from "@ai-orchestra/ui/skeleton";
import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { AGENT_STATUS } from "../agents/agent-status.ts";
import { useAgents } from "@ai-orchestra/api/use-agents";

/** Those that need a look come first; the rest is a link away. */
const ORDER = ["quarantined", "unhealthy", "offline", "never_connected", "draining", "busy", "online"];
const SHOWN = 6;

export function AgentsCard() {
  const { t, i18n } = useLingui();
  const { agents } = useAgents();
  const sorted = agents?.toSorted((one, other) => ORDER.indexOf(one.status) - ORDER.indexOf(other.status));
  return (
    <Card>
      <CardHeader
        title={t`Agents`}
        action={
          <Link to="/agents" className="rounded text-sm font-medium text-accent-text hover:underline">
            <Trans>See all</Trans>
          </Link>
        }
      />
      <CardBody>
        {sorted ? null : <SkeletonRows rows={4} className="h-6" />}
        <ul className="flex flex-col gap-3">
          {sorted?.slice(0, SHOWN).map((agent) => (
            <li key={agent.id} className="flex items-center gap-3 text-sm">
              <span className="min-w-0 flex-1 truncate">{agent.name}</span>
              <span className="text-xs text-ink-faint tabular-nums">
                {formatNumber(agent.slots_in_use)} / {formatNumber(agent.slots)}
              </span>
              <Badge tone={AGENT_STATUS[agent.status].tone} dot>
                {i18n._(AGENT_STATUS[agent.status].text)}
              </Badge>
            </li>
          ))}
        </ul>
        {sorted?.length === 0 ? <p className="text-sm text-ink-soft">{t`No agent has connected yet.`}</p> : null}
      </CardBody>
    </Card>
  );
}
