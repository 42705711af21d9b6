/** The live feed: every open feed hears every event. */
import type { ServerResponse } from "node:http";
import { agents, state } from "./data.ts";
import { frame, openStream } from "./http.ts";

const feeds = new Set<ServerResponse>();
let sequence = 0;

export function openFeed(response: ServerResponse): void {
  openStream(response);
  response.write(frame("ready", { feed_id: `feed-${String(Math.random())}` }));
  feeds.add(response);
  response.on("close", () => feeds.delete(response));
}

export function publish(type: string, data: unknown): void {
  sequence += 1;
  for (const feed of feeds) feed.write(frame(type, { type, data, timestamp: new Date().toISOString() }, `1-${String(sequence)}`));
}

export function startMetrics(): void {
  setInterval(() => {
    const wave = (period: number) => 0.5 + 0.4 * Math.sin(Date.now() / period);
    for (const agent of agents) {
      if (!agent.resources) continue;
      agent.resources = { ...agent.resources, cpu_usage: wave(9_000 + agent.slots * 900), memory_usage: 0.45 + wave(30_000) * 0.2 };
      agent.last_heartbeat = new Date().toISOString();
      publish("agent.status.changed", { agent });
    }
    publish("system.metrics", {
      agents_online: agents.filter((agent) => agent.status !== "offline").length,
      agents_total: agents.length,
      tasks_queued: state.tasks.filter((task) => task.state === "queued").length,
      tasks_running: state.tasks.filter((task) => task.state === "running").length,
      tasks_finished_per_minute: Math.round(40 + 30 * wave(20_000)),
      cpu_usage: wave(12_000),
      memory_usage: 0.52,
    });
  }, 2_000).unref();
}
