import { listTasks, readTask, type TaskFilter } from "@ai-orchestra/api/endpoints/tasks";
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";

const LATEST = 8;

export const tasksQuery = (filter: Omit<TaskFilter, "cursor">) =>
  infiniteQueryOptions({
    queryKey: ["tasks", "list", filter],
    queryFn: ({ pageParam }) => listTasks({ ...filter, cursor: pageParam }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });

export const latestTasksQuery = () =>
  queryOptions({ queryKey: ["tasks", "latest"], queryFn: async () => (await listTasks()).items.slice(0, LATEST) });

export const taskQuery = (id: string) => queryOptions({ queryKey: ["tasks", "one", id], queryFn: () => readTask(id) });
