import { request } from "../rest.ts";
import type { Page, Task, TaskDetail } from "../schema.ts";

export interface TaskFilter {
  state?: string | undefined;
  capability?: string | undefined;
  agent_id?: string | undefined;
  cursor?: string | undefined;
}

export const listTasks = (filter: TaskFilter = {}) =>
  request<Page<Task>>("GET", "/api/tasks", { query: { ...filter, limit: 50 } });
export const readTask = (id: string) => request<TaskDetail>("GET", `/api/tasks/${id}`);
export const cancelTask = (id: string, reason?: string) =>
  request<Task>("POST", `/api/tasks/${id}/cancel`, { body: reason ? { reason } : {} });
