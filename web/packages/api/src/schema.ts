/** Wire shapes of the REST and SSE contract, as the server writes them (snake_case, RFC 3339 times). */

export type Role = "admin" | "member" | "viewer";
export type Permission =
  | "chat:use" | "tasks:read" | "tasks:write" | "agents:read" | "agents:connect" | "agents:manage" | "models:use"
  | "providers:manage" | "users:manage" | "keys:manage" | "events:read" | "audit:read" | "system:read";

export interface Page<Item> {
  items: Item[];
  next_cursor?: string | null;
}

export interface User {
  id: string;
  username: string;
  /** Empty when none was chosen. */
  display_name: string;
  email: string | null;
  avatar_url: string | null;
  role: Role;
  status: "active" | "disabled";
  preferences: Record<string, unknown>;
  created_at: string;
  last_login_at: string | null;
}

export interface Me extends User {
  permissions: Permission[];
}

export interface Session {
  user: User;
  permissions: Permission[];
}

export interface OneTimeLink {
  purpose: "first_admin" | "sign_in";
  /** False: the account is there, and its owner only chooses a password. */
  needs_account: boolean;
  username: string | null;
  expires_at: string;
}

export interface InvitedUser extends User {
  /** Shown once: with it the invited person chooses a password. */
  link_token: string | null;
}

export interface Login {
  id: string;
  created_at: string;
  last_seen_at: string;
  ip: string;
  user_agent: string;
  current: boolean;
}

export interface ApiKey {
  id: string;
  name: string;
  prefix: string;
  scopes: Permission[];
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
}

export interface NewApiKey extends ApiKey {
  key: string;
}

export interface AuditEntry {
  id: number;
  at: string;
  actor: { kind: string; id: string; name: string };
  action: string;
  target: { kind: string; id: string };
  details: Record<string, unknown>;
  ip: string;
  request_id: string;
}

export type AgentStatus = "online" | "busy" | "draining" | "quarantined" | "unhealthy" | "offline" | "never_connected";

export interface AgentResources {
  cpu_usage: number;
  memory_usage: number;
  disk_usage: number;
  network_bytes_in: number;
  network_bytes_out: number;
}

export interface Agent {
  id: string;
  name: string;
  owner_id: string;
  capabilities: string[];
  status: AgentStatus;
  /** Why it is not simply online; empty when there is nothing to say. */
  reason: string;
  version: string;
  slots: number;
  slots_in_use: number;
  labels: Record<string, string>;
  resources: AgentResources | null;
  performance: {
    tasks_completed: number;
    tasks_failed: number;
    average_duration_seconds: number;
    round_trip_seconds: number;
  };
  connected_at: string | null;
  last_heartbeat: string | null;
}

export interface Enrolment {
  token: string;
  expires_at: string;
  command: string;
}

export type TaskState = "queued" | "running" | "waiting" | "cancelling" | "succeeded" | "failed" | "cancelled";
export type Priority = "low" | "normal" | "high" | "critical";

// An alias, not an interface: the server describes it as any object, which only an alias fits.
export type TaskError = {
  code: string;
  message: string;
};

export type Usage = {
  prompt_tokens: number | null;
  completion_tokens: number | null;
  first_token_ms?: number | null;
};

export interface Attempt {
  attempt: number;
  epoch: number;
  agent_id: string;
  agent_name: string;
  started_at: string;
  ended_at: string | null;
  outcome: string | null;
  error: TaskError | null;
}

export interface Task {
  id: string;
  capability: string;
  agent_id: string | null;
  /** Empty while no agent has it. */
  agent_name: string;
  state: TaskState;
  priority: Priority;
  attempt: number;
  max_attempts: number;
  epoch: number;
  input: unknown;
  result: unknown;
  error: TaskError | null;
  user_id: string;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  usage: Usage | null;
}

export interface TaskDetail extends Task {
  attempts: Attempt[];
}

export interface Conversation {
  id: string;
  title: string | null;
  model: string | null;
  created_at: string;
  updated_at: string;
  last_message_preview: string | null;
}

export type MessageState = "complete" | "streaming" | "failed" | "stopped";

export interface Message {
  id: string;
  conversation_id: string;
  role: "user" | "assistant";
  content: string;
  task_id: string | null;
  state: MessageState;
  error: TaskError | null;
  usage: Usage | null;
  /** Why the model ended, as its agent says: `length` when it had no more room. */
  finish_reason: string | null;
  model: string | null;
  created_at: string;
  edited_at: string | null;
  /** Where its task's feed goes on, while it is being written. */
  cursor: string | null;
}

export interface Turn {
  user_message: Message;
  assistant_message: Message;
}

export type ProviderKind = "openai" | "anthropic";

export interface Provider {
  id: string;
  name: string;
  kind: ProviderKind;
  base_url: string;
  key_last4: string | null;
  enabled: boolean;
  is_local: boolean;
  models: string[];
  created_at: string;
}

export interface ProviderTest {
  ok: boolean;
  latency_ms: number;
  models: string[];
  error: string | null;
}

export interface Model {
  id: string;
  provider: string;
  name: string;
  is_default: boolean;
}

export interface SystemMetrics {
  agents_online: number;
  agents_total: number;
  tasks_queued: number;
  tasks_running: number;
  tasks_finished_per_minute: number;
  cpu_usage: number;
  memory_usage: number;
}

export interface FieldProblem {
  field: string;
  message: string;
}

export interface ProblemDetails {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  code?: string;
  request_id?: string;
  errors?: FieldProblem[];
}
