import type { AgentStatus } from "@ai-orchestra/api/schema";
import { Button } from "@ai-orchestra/ui/button";
import { EmptyState } from "@ai-orchestra/ui/empty-state";
import { BotIcon, PlusIcon } from "@ai-orchestra/ui/icons";
import { Select } from "@ai-orchestra/ui/input";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { SkeletonRows } from "@ai-orchestra/ui/skeleton";
import { useTitle } from "@ai-orchestra/ui/use-title.ts";
import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { PageHeader } from "../../shell/page-header.tsx";
import { AgentCard } from "./agent-card.tsx";
import { AGENT_STATUS } from "./agent-status.ts";
import { EnrolDialog } from "./enrol-dialog.tsx";
import { useAgents } from "@ai-orchestra/api/use-agents";

const route = getRouteApi("/admin/agents");

export function AgentsPage() {
  const { t, i18n } = useLingui();
  useTitle(t`Agents`);
  const { status } = route.useSearch();
  const navigate = route.useNavigate();
  const [enrolling, setEnrolling] = useState(false);
  const { agents, error } = useAgents();
  const shown = agents?.filter((agent) => status === undefined || agent.status === status);
  return (
    <>
      <PageHeader
        title={t`Agents`}
        description={agents ? <Plural value={agents.length} one="# agent" other="# agents" /> : null}
        action={
          <div className="flex items-end gap-3">
            <Select
              label={t`Status`}
              hideLabel
              value={status ?? ""}
              onChange={(event) => void navigate({ search: event.target.value ? { status: event.target.value } : {}, replace: true })}
            >
              <option value="">{t`Every status`}</option>
              {(Object.keys(AGENT_STATUS) as AgentStatus[]).map((id) => (
                <option key={id} value={id}>
                  {i18n._(AGENT_STATUS[id].text)}
                </option>
              ))}
            </Select>
            <Button
              icon={<PlusIcon className="size-4" />}
              onClick={() => {
                setEnrolling(true);
              }}
            >
              <Trans>Add an agent</Trans>
            </Button>
          </div>
        }
      />
      {error && !agents ? <p className="text-sm text-ink-soft">{problemText(error)}</p> : null}
      {!agents && !error ? <SkeletonRows rows={4} className="h-32" /> : null}
      {shown?.length === 0 ? (
        <EmptyState icon={<BotIcon className="size-6" />} title={t`No agent here`} description={status ? t`No agent has this status now.` : t`Add one: it connects by itself and appears here.`} />
      ) : null}
      <ul className="grid grid-cols-1 gap-4 xl:grid-cols-2">{shown?.map((agent) => <AgentCard key={agent.id} agent={agent} />)}</ul>
      <EnrolDialog
        open={enrolling}
        onClose={() => {
          setEnrolling(false);
        }}
      />
    </>
  );
}
