import { randomUUID } from "node:crypto";
import type { Conversation } from "../../packages/api/src/schema.ts";
import { messagesOf, newMessage, readTask, startAnswer, stop } from "./chat.ts";
import { agents, PERMISSIONS, state, users } from "./data.ts";
import { empty, json, problem, type Call } from "./http.ts";
import { openFeed, publish } from "./live.ts";

type Route = [method: string, pattern: URLPattern, answer: (call: Call) => void];

const route = (method: string, pathname: string, answer: (call: Call) => void): Route => [method, new URLPattern({ pathname }), answer];
const text = (value: unknown) => (typeof value === "string" ? value : "");
const page = (items: unknown[]) => ({ items, next_cursor: null });
const turns = new Map<string, unknown>();
let signedIn = process.env.SIGNED_IN === "1";

const me = () => users[0] ?? problemUser();
const problemUser = () => {
  throw new Error("no users");
};
const session = () => ({ user: me(), permissions: PERMISSIONS });

function signIn({ response, body }: Call) {
  if (body.password === "wrong") {
    problem(response, 401, "invalid_credentials", "Wrong user name or password.");
    return;
  }
  signedIn = true;
  json(response, session());
}

function conversation(call: Call): Conversation | undefined {
  const found = state.conversations.find((known) => known.id === call.params.id);
  if (!found) problem(call.response, 404, "not_found");
  return found;
}

function once(call: Call, make: () => unknown) {
  const key = text(call.request.headers["idempotency-key"]);
  const answer = turns.get(key) ?? make();
  if (key) turns.set(key, answer);
  json(call.response, answer, 202);
}

function touch(id: string, preview: string) {
  const found = state.conversations.find((known) => known.id === id);
  if (!found) return;
  found.title ??= preview.slice(0, 40);
  found.last_message_preview = preview;
  found.updated_at = new Date().toISOString();
  state.conversations.sort((one, other) => other.updated_at.localeCompare(one.updated_at));
  publish("conversation.updated", { conversation_id: id });
}

function send(call: Call) {
  const id = call.params.id ?? "";
  const content = text(call.body.content);
  once(call, () => {
    const turn = { user_message: newMessage(id, "user", content), assistant_message: startAnswer(id, content) };
    touch(id, content);
    return turn;
  });
}

function edit(call: Call) {
  const { id = "", mid } = call.params;
  const messages = messagesOf(id);
  messages.splice(messages.findIndex((message) => message.id === mid));
  const user_message = { ...newMessage(id, "user", text(call.body.content)), edited_at: new Date().toISOString() };
  messagesOf(id)[messages.length - 1] = user_message;
  json(call.response, { user_message, assistant_message: startAnswer(id, "") }, 202);
}

function again(call: Call) {
  const { id = "", mid } = call.params;
  const messages = messagesOf(id);
  messages.splice(messages.findIndex((message) => message.id === mid));
  json(call.response, { assistant_message: startAnswer(id, "") }, 202);
}

const models = () =>
  state.providers.flatMap((provider) =>
    provider.models.map((name) => {
      const id = `${provider.name}/${name}`;
      return { id, provider: provider.name, name, is_default: id === state.defaultModel };
    }),
  );

export const routes: Route[] = [
  route("POST", "/api/auth/link", ({ response, body }) => {
    if (body.token === "used") problem(response, 410, "link_used");
    else json(response, { purpose: body.token === "in" ? "sign_in" : "first_admin", needs_account: body.token !== "in", username: body.token === "in" ? "maria" : null, expires_at: new Date().toISOString() });
  }),
  route("POST", "/api/auth/setup", signIn),
  route("POST", "/api/auth/login", signIn),
  route("POST", "/api/auth/logout", ({ response }) => {
    signedIn = false;
    empty(response);
  }),
  route("GET", "/api/me", ({ response }) => {
    if (signedIn) json(response, { ...me(), permissions: PERMISSIONS });
    else problem(response, 401, "unauthenticated");
  }),
  route("PATCH", "/api/me", ({ response, body }) => {
    json(response, Object.assign(me(), body));
  }),
  route("POST", "/api/me/password", ({ response }) => {
    empty(response);
  }),
  route("GET", "/api/me/logins", ({ response }) => {
    json(response, page(state.logins));
  }),
  route("DELETE", "/api/me/logins/:id", ({ response, params }) => {
    state.logins = state.logins.filter((login) => login.id !== params.id);
    empty(response);
  }),
  route("GET", "/api/keys", ({ response }) => {
    json(response, page(state.keys));
  }),
  route("POST", "/api/keys", ({ response, body }) => {
    const key = { id: randomUUID(), name: text(body.name), prefix: "orc_77b1", scopes: [], created_at: new Date().toISOString(), expires_at: null, last_used_at: null };
    state.keys.push(key);
    json(response, { ...key, key: "orc_77b1d2c4_4f9d0c6e6a2b8d7f1e3c5a9b0d2f4e6a8c0b2d4f_k9" }, 201);
  }),
  route("DELETE", "/api/keys/:id", ({ response, params }) => {
    state.keys = state.keys.filter((key) => key.id !== params.id);
    empty(response);
  }),
  route("GET", "/api/users", ({ response }) => {
    json(response, page(users));
  }),
  route("PATCH", "/api/users/:id", ({ response, params, body }) => {
    json(response, Object.assign(users.find((user) => user.id === params.id) ?? {}, body));
  }),
  route("GET", "/api/audit", ({ response }) => {
    const at = new Date().toISOString();
    json(response, page([
      { id: 3, at, actor: { kind: "user", id: "u1", name: "lin" }, action: "user.updated", target: { kind: "user", id: "u4" }, details: { status: "disabled" }, ip: "127.0.0.1", request_id: "r3" },
      { id: 2, at, actor: { kind: "user", id: "u1", name: "lin" }, action: "provider.created", target: { kind: "provider", id: "p1" }, details: { name: "OpenAI" }, ip: "127.0.0.1", request_id: "r2" },
      { id: 1, at, actor: { kind: "system", id: "", name: "" }, action: "login.created", target: { kind: "user", id: "u1" }, details: {}, ip: "", request_id: "r1" },
    ]));
  }),
  route("GET", "/api/agents", ({ response }) => {
    json(response, page(agents));
  }),
  route("POST", "/api/agents/enrolments", ({ response }) => {
    json(response, { token: "orch_enrol_x", expires_at: new Date(Date.now() + 900_000).toISOString(), command: "orchestra agent run my_agent:agent --server https://localhost:8443 --token orch_enrol_x" }, 201);
  }),
  route("GET", "/api/tasks", ({ response, url }) => {
    const wanted = (name: "state" | "capability") => url.searchParams.get(name);
    json(response, page(state.tasks.filter((task) => (!wanted("state") || task.state === wanted("state")) && (!wanted("capability") || task.capability === wanted("capability")))));
  }),
  route("GET", "/api/tasks/:id", ({ response, params }) => {
    const found = state.tasks.find((task) => task.id === params.id);
    if (found) json(response, found);
    else problem(response, 404, "not_found");
  }),
  route("POST", "/api/tasks/:id/cancel", ({ response, params }) => {
    const found = state.tasks.find((task) => task.id === params.id);
    json(response, Object.assign(found ?? {}, { state: "cancelled" }), 202);
  }),
  route("GET", "/api/tasks/:id/events", ({ request, response, params, url }) => {
    const after = text(request.headers["last-event-id"]) || (url.searchParams.get("cursor") ?? undefined);
    if (!readTask(params.id ?? "", after || undefined, response)) problem(response, 404, "not_found");
  }),
  route("GET", "/api/events/stream", ({ response }) => {
    openFeed(response);
  }),
  route("POST", "/api/events/subscribe", ({ response, body }) => {
    json(response, { subscribed: true, event_types: [body.eventType] });
  }),
  route("GET", "/api/conversations", ({ response, url }) => {
    const search = (url.searchParams.get("search") ?? "").toLowerCase();
    json(response, page(state.conversations.filter((known) => (known.title ?? "").toLowerCase().includes(search))));
  }),
  route("POST", "/api/conversations", ({ response, body }) => {
    const at = new Date().toISOString();
    const made = { id: randomUUID(), title: null, model: text(body.model) || null, created_at: at, updated_at: at, last_message_preview: null };
    state.conversations.unshift(made);
    json(response, made, 201);
  }),
  route("GET", "/api/conversations/:id", (call) => {
    const found = conversation(call);
    if (found) json(call.response, found);
  }),
  route("PATCH", "/api/conversations/:id", (call) => {
    const found = conversation(call);
    if (found) json(call.response, Object.assign(found, call.body));
  }),
  route("DELETE", "/api/conversations/:id", ({ response, params }) => {
    state.conversations = state.conversations.filter((known) => known.id !== params.id);
    empty(response);
  }),
  route("GET", "/api/conversations/:id/messages", (call) => {
    if (conversation(call)) json(call.response, page(messagesOf(call.params.id ?? "")));
  }),
  route("POST", "/api/conversations/:id/messages", send),
  route("PUT", "/api/conversations/:id/messages/:mid", edit),
  route("POST", "/api/conversations/:id/messages/:mid/regenerate", again),
  route("POST", "/api/conversations/:id/messages/:mid/stop", ({ response, params }) => {
    const found = messagesOf(params.id ?? "").find((message) => message.id === params.mid);
    if (found) stop(found);
    json(response, {}, 202);
  }),
  route("GET", "/api/providers", ({ response }) => {
    json(response, page(state.providers));
  }),
  route("POST", "/api/providers/:id/test", ({ response }) => {
    json(response, { ok: true, latency_ms: 212, models: ["gpt-5-mini"] });
  }),
  route("GET", "/api/models", ({ response }) => {
    json(response, page(models()));
  }),
  route("PUT", "/api/models/default", ({ response, body }) => {
    state.defaultModel = text(body.id);
    json(response, {});
  }),
];
