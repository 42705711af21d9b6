/** Keeps the realtime store in step with the feed; an app calls it for the parts that its pages show. */
import type { Agent, SystemMetrics } from "../schema.ts";
import { noteAgents, noteMetrics, noteTask, type LiveTask } from "../stores/realtime.ts";
import { realtime } from "./client.ts";

export function followAgents(): () => void {
  return realtime.subscribe("agent.status.changed", ({ data, receivedAt }) => {
    const { agent } = data as { agent?: Agent };
    if (agent) noteAgents([agent], receivedAt);
  });
}

export function followMetrics(): () => void {
  return realtime.subscribe("system.metrics", ({ data, receivedAt }) => {
    noteMetrics(data as SystemMetrics, receivedAt);
  });
}

export function followTasks(): () => void {
  const note = ({ data, receivedAt }: { data: unknown; receivedAt: number }) => {
    noteTask(data as LiveTask, receivedAt);
  };
  const stops = [realtime.subscribe("task.status", note), realtime.subscribe("task.finished", note)];
  return () => {
    for (const stop of stops) stop();
  };
}
