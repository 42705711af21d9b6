import type { Agent, ApiKey, Conversation, Login, Message, Provider, Task, TaskDetail, User } from "../../packages/api/src/schema.ts";

const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();

export const PERMISSIONS = [
  "chat:use", "tasks:read", "tasks:write", "agents:read", "agents:connect", "agents:manage", "models:use",
  "providers:manage", "users:manage", "keys:manage", "events:read", "audit:read", "system:read",
];

const user = (id: string, username: string, display_name: string, role: User["role"], status: User["status"] = "active"): User => ({
  id, username, display_name, email: `${username}@example.org`, avatar_url: null, role, status, preferences: {},
  created_at: ago(60 * 24 * 30), last_login_at: ago(12),
});

export const users: User[] = [
  user("u1", "lin", "林晓", "admin"),
  user("u2", "maria", "Maria Santos", "member"),
  user("u3", "kenji", "Kenji Ito", "member"),
  user("u4", "guest", "", "viewer", "disabled"),
];

const agent = (id: string, name: string, status: Agent["status"], slots: number, used: number, capabilities: string[], reason = ""): Agent => ({
  id, name, owner_id: "u1", capabilities, status, reason, version: "2.0.0", slots, slots_in_use: used, labels: { zone: "a" },
  resources: status === "offline" ? null : { cpu_usage: 0.3, memory_usage: 0.5, disk_usage: 0.42, network_bytes_in: 1e6, network_bytes_out: 2e6 },
  performance: { tasks_completed: 1204, tasks_failed: 7, average_duration_seconds: 3.4, round_trip_seconds: 0.004 },
  connected_at: ago(300), last_heartbeat: ago(status === "offline" ? 90 : 0),
});

export const agents: Agent[] = [
  agent("a1", "assistant-1", "online", 8, 2, ["chat"]),
  agent("a2", "assistant-2", "busy", 4, 4, ["chat"]),
  agent("a3", "research-eu", "online", 16, 3, ["search", "summarise", "translate"]),
  agent("a4", "code-runner", "draining", 2, 1, ["code.run"], "Finishing its last task before an update"),
  agent("a5", "nightly-report", "offline", 2, 0, ["report"], "No heartbeat for 90 minutes"),
];

const task = (id: string, capability: string, taskState: Task["state"], minutes: number, extra: Partial<TaskDetail> = {}): TaskDetail => ({
  id, capability, agent_id: "a1", agent_name: "assistant-1", state: taskState, priority: "normal", attempt: 1, max_attempts: 3, epoch: 2,
  input: { messages: [{ role: "user", content: "Hello" }] }, result: null, error: null, user_id: "u1", created_at: ago(minutes),
  started_at: taskState === "queued" ? null : ago(minutes - 0.01), finished_at: null, usage: null,
  attempts: [{ attempt: 1, epoch: 2, agent_id: "a1", agent_name: "assistant-1", started_at: ago(minutes), ended_at: null, outcome: null, error: null }],
  ...extra,
});

export const state: { tasks: TaskDetail[]; conversations: Conversation[]; messages: Record<string, Message[]>; keys: ApiKey[]; logins: Login[]; providers: Provider[]; defaultModel: string } = {
  tasks: [
    task("7d0f6c2e-0001", "chat", "running", 1),
    task("7d0f6c2e-0002", "summarise", "queued", 2, { agent_id: null, agent_name: "", priority: "high" }),
    task("7d0f6c2e-0003", "chat", "succeeded", 9, { finished_at: ago(8.9), result: { text: "Done." }, usage: { prompt_tokens: 120, completion_tokens: 340 } }),
    task("7d0f6c2e-0004", "code.run", "failed", 30, {
      finished_at: ago(29), attempt: 3, error: { code: "agent_error", message: "The sandbox ran out of memory." },
    }),
    task("7d0f6c2e-0005", "report", "cancelled", 55, { finished_at: ago(54) }),
  ],
  conversations: [
    ["c1", "消息队列是怎么工作的", "队列把消息先存下来，再交给消费者……", 4],
    ["c2", "Plan for the Lisbon trip", "Day 3: take the tram to Belém early.", 190],
    ["c3", "词频统计函数", "用 collections.Counter 最简单。", 60 * 26],
    ["c4", "Quarterly report, first draft", "Here is a tighter version of the summary.", 60 * 30],
    ["c5", "Regex for invoice numbers", "Use a word boundary on both sides.", 60 * 24 * 5],
    ["c6", "A very long title that somebody pasted from a document and never shortened afterwards", "…", 60 * 24 * 20],
  ].map(([id, title, preview, minutes]) => ({
    id: String(id), title: String(title), model: null, created_at: ago(Number(minutes) + 9), updated_at: ago(Number(minutes)),
    last_message_preview: String(preview),
  })),
  messages: {},
  keys: [{ id: "k1", name: "CI", prefix: "orc_9f3a", scopes: ["tasks:write"], created_at: ago(9000), expires_at: ago(-60 * 24 * 80), last_used_at: ago(40) }],
  logins: [
    { id: "l1", created_at: ago(500), last_seen_at: ago(0), ip: "127.0.0.1", user_agent: "Mozilla/5.0 (X11; Linux x86_64) Chrome/149.0", current: true },
    { id: "l2", created_at: ago(5000), last_seen_at: ago(300), ip: "192.0.2.7", user_agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1", current: false },
  ],
  providers: [
    { id: "p0", name: "Local", kind: "openai", base_url: "http://127.0.0.1:8091/v1", key_last4: null, enabled: true, is_local: true, models: ["SmolLM2-135M-Instruct"], created_at: ago(9000) },
    { id: "p1", name: "OpenAI", kind: "openai", base_url: "https://api.openai.com/v1", key_last4: "x7Qa", enabled: true, is_local: false, models: ["gpt-5-mini"], created_at: ago(8000) },
  ],
  defaultModel: "Local/SmolLM2-135M-Instruct",
};
