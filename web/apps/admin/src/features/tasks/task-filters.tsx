import type { TaskState } from "@ai-orchestra/api/schema";
import { Button } from "@ai-orchestra/ui/button";
import { XIcon } from "@ai-orchestra/ui/icons";
import { Select } from "@ai-orchestra/ui/input";
import { Trans, useLingui } from "@lingui/react/macro";
import type { TasksSearch } from "../../router.tsx";
import { useAgents } from "@ai-orchestra/api/use-agents";
import { TASK_STATE } from "./task-state.ts";

type Filter = Omit<TasksSearch, "task">;

export function TaskFilters({ filter, onChange }: { filter: Filter; onChange: (filter: Filter) => void }) {
  const { t, i18n } = useLingui();
  const { agents } = useAgents();
  const capabilities = [...new Set([...(agents ?? []).flatMap((agent) => agent.capabilities), ...(filter.capability ? [filter.capability] : [])])].sort();
  const set = (name: keyof Filter, value: string) => {
    const { [name]: _before, ...others } = filter;
    onChange(value ? { ...others, [name]: value } : others);
  };
  const any = Object.keys(filter).length > 0;
  return (
    <div className="mb-4 grid grid-cols-2 gap-3 sm:flex sm:flex-wrap sm:items-end">
      <Select
        label={t`State`}
        hideLabel
        className="sm:w-44"
        value={filter.state ?? ""}
        onChange={(event) => {
          set("state", event.target.value);
        }}
      >
        <option value="">{t`Every state`}</option>
        {(Object.keys(TASK_STATE) as TaskState[]).map((state) => (
          <option key={state} value={state}>
            {i18n._(TASK_STATE[state].text)}
          </option>
        ))}
      </Select>
      <Select
        label={t`Capability`}
        hideLabel
        className="sm:w-48"
        value={filter.capability ?? ""}
        onChange={(event) => {
          set("capability", event.target.value);
        }}
      >
        <option value="">{t`Every capability`}</option>
        {capabilities.map((capability) => (
          <option key={capability}>{capability}</option>
        ))}
      </Select>
      <Select
        label={t`Agent`}
        hideLabel
        className="sm:w-48"
        value={filter.agent_id ?? ""}
        onChange={(event) => {
          set("agent_id", event.target.value);
        }}
      >
        <option value="">{t`Every agent`}</option>
        {agents?.map((agent) => (
          <option key={agent.id} value={agent.id}>
            {agent.name}
          </option>
        ))}
      </Select>
      {any ? (
        <Button
          variant="ghost"
          icon={<XIcon className="size-4" />}
          onClick={() => {
            onChange({});
          }}
        >
          <Trans>Clear</Trans>
        </Button>
      ) : null}
    </div>
  );
}
