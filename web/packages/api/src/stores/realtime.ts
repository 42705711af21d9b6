/** Live state as the feed reports it: agents, tasks and the last metrics. */
import { create } from "zustand";
import type { Agent, SystemMetrics, TaskState } from "../schema.ts";

/** Tasks remembered from the feed; older ones are read from the server when a page wants them. */
const MOST_TASKS = 500;

export interface LiveTask {
  task_id: string;
  state: TaskState;
  capability?: string | null;
  agent_id?: string | null;
}

interface Realtime {
  agents: Record<string, Agent>;
  tasks: Record<string, LiveTask>;
  metrics: SystemMetrics | undefined;
  lastUpdate: number | undefined;
}

const EMPTY: Realtime = { agents: {}, tasks: {}, metrics: undefined, lastUpdate: undefined };

export const useRealtime = create<Realtime>(() => EMPTY);

export function noteAgents(agents: readonly Agent[], at: number): void {
  useRealtime.setState((known) => ({
    agents: { ...known.agents, ...Object.fromEntries(agents.map((agent) => [agent.id, agent])) },
    lastUpdate: at,
  }));
}

export function noteTask(task: LiveTask, at: number): void {
  useRealtime.setState((known) => {
    const { [task.task_id]: before, ...others } = known.tasks;
    const kept = Object.entries(others).slice(-MOST_TASKS + 1);
    return { tasks: { ...Object.fromEntries(kept), [task.task_id]: { ...before, ...task } }, lastUpdate: at };
  });
}

export function noteMetrics(metrics: SystemMetrics, at: number): void {
  useRealtime.setState({ metrics, lastUpdate: at });
}

export function forgetRealtime(): void {
  useRealtime.setState(EMPTY, true);
}

export function dropAgent(id: string): void {
  useRealtime.setState(({ agents: { [id]: _forgotten, ...agents } }) => ({ agents }));
}
