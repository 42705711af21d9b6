import type { Task } from "@ai-orchestra/api/schema";
import { useRealtime } from "@ai-orchestra/api/stores/realtime";
import { Badge } from "@ai-orchestra/ui/badge";
import { formatRelative } from "@ai-orchestra/ui/format.ts";
import { useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { memo } from "react";
import type { TasksSearch } from "../../router.tsx";
import { PRIORITY, TASK_STATE } from "./task-state.ts";

export const TaskRow = memo(function TaskRow({ task, search }: { task: Task; search: TasksSearch }) {
  const { t, i18n } = useLingui();
  // The feed is ahead of the list by up to a second.
  const live = useRealtime((state) => state.tasks[task.id]?.state);
  const state = TASK_STATE[task.finished_at ? task.state : (live ?? task.state)];
  const where = task.agent_name === "" && task.state === "queued" ? t`waiting for an agent` : task.agent_name;
  return (
    <li>
      <Link to="/tasks" search={search} className="pressable flex items-center gap-4 rounded-xl px-3 py-3 hover:bg-hover sm:px-4">
        <span className="min-w-0 flex-1">
          <span className="flex items-center gap-2 text-sm font-medium">
            <span className="truncate">{task.capability}</span>
            {task.priority === "high" || task.priority === "critical" ? (
              <Badge tone={task.priority === "critical" ? "error" : "violet"}>{i18n._(PRIORITY[task.priority])}</Badge>
            ) : null}
          </span>
          <span className="block truncate text-xs text-ink-faint">
            <span className="font-mono">{task.id.slice(0, 8)}</span>
            {where ? ` · ${where}` : ""}
          </span>
        </span>
        <span className="flex flex-col-reverse items-end gap-1.5 sm:flex-row sm:items-center sm:gap-4">
          <span className="text-xs text-ink-faint">{formatRelative(task.created_at)}</span>
          <span className="flex justify-end sm:w-28">
            <Badge tone={state.tone} dot>
              {i18n._(state.text)}
            </Badge>
          </span>
        </span>
      </Link>
    </li>
  );
});
