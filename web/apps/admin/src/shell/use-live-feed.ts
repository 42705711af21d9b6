import { realtime } from "@ai-orchestra/api/realtime/client";
import { followAgents, followMetrics, followTasks } from "@ai-orchestra/api/realtime/live-state";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";

/** A burst of finished tasks is one refresh of the list. */
const REFRESH_MS = 1_000;

/** Keeps the console in step with the live feed. */
export function useLiveFeed(): void {
  const client = useQueryClient();
  useEffect(() => {
    let refresh: ReturnType<typeof setTimeout> | undefined;
    const refreshTasks = () => {
      refresh ??= setTimeout(() => {
        refresh = undefined;
        void client.invalidateQueries({ queryKey: ["tasks"] });
      }, REFRESH_MS);
    };
    const stops = [
      followAgents(),
      followMetrics(),
      followTasks(),
      realtime.subscribe("task.status", refreshTasks),
      realtime.subscribe("task.finished", refreshTasks),
      realtime.subscribe("feed.snapshot", () => {
        void client.invalidateQueries();
      }),
    ];
    realtime.connect();
    return () => {
      clearTimeout(refresh);
      for (const stop of stops) stop();
      realtime.disconnect();
    };
  }, [client]);
}
