import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startServer, type Answer, type TestServer } from "../../../tests/support/server.ts";
import { ApiError } from "./problem.ts";
import { onUnauthorized, request, RETRIES } from "./rest.ts";

let server: TestServer | undefined;

beforeEach(() => {
  vi.spyOn(Math, "random").mockReturnValue(0);
});

afterEach(() => {
  server?.close();
});

const problem = (status: number, code: string, headers: Record<string, string> = {}): Answer => (_request, response) => {
  response.writeHead(status, { "Content-Type": "application/problem+json", ...headers }).end(JSON.stringify({ code, detail: "Why." }));
};

const failTwice: Answer = (_request, response, count) => {
  if (count <= 2) response.writeHead(503).end();
  else response.writeHead(200, { "Content-Type": "application/json" }).end('{"ok":true}');
};

test("a read that fails for a moment is tried again", async () => {
  server = await startServer(failTwice);
  expect(await request("GET", "/api/tasks", { query: { state: "queued", cursor: undefined } })).toEqual({ ok: true });
  expect(server.requests.map((sent) => sent.url)).toEqual(Array(3).fill("/api/tasks?state=queued"));
});

test("it gives up after three more tries", async () => {
  server = await startServer(problem(503, "unavailable"));
  await expect(request("GET", "/api/tasks")).rejects.toMatchObject({ status: 503, code: "unavailable" });
  expect(server.requests).toHaveLength(RETRIES + 1);
});

test("a POST is sent once when nothing makes repeating it safe", async () => {
  server = await startServer(failTwice);
  await expect(request("POST", "/api/tasks", { body: {} })).rejects.toBeInstanceOf(ApiError);
  expect(server.requests).toHaveLength(1);
});

test("a POST with an idempotency key is repeated with the same key", async () => {
  server = await startServer(failTwice);
  await request("POST", "/api/tasks", { body: {}, idempotencyKey: "one-click" });
  expect(server.requests.map((sent) => sent.headers["idempotency-key"])).toEqual(["one-click", "one-click", "one-click"]);
});

test("a refusal is not repeated and carries the server's words", async () => {
  server = await startServer(problem(422, "invalid"));
  await expect(request("GET", "/api/tasks")).rejects.toMatchObject({ status: 422, code: "invalid", message: "Why." });
  expect(server.requests).toHaveLength(1);
});

test("nobody waits for a long Retry-After", async () => {
  server = await startServer(problem(429, "too_many", { "Retry-After": "60" }));
  await expect(request("GET", "/api/tasks")).rejects.toMatchObject({ retryAfter: 60 });
  expect(server.requests).toHaveLength(1);
});

test("an ended login is announced, a wrong password is not", async () => {
  const announced = vi.fn();
  const stop = onUnauthorized(announced);
  server = await startServer((incoming, response) => {
    problem(401, incoming.url === "/api/auth/login" ? "invalid_credentials" : "unauthenticated")(incoming, response, 1);
  });
  await expect(request("POST", "/api/auth/login", { body: {} })).rejects.toMatchObject({ code: "invalid_credentials" });
  expect(announced).not.toHaveBeenCalled();
  await expect(request("GET", "/api/me")).rejects.toMatchObject({ status: 401 });
  expect(announced).toHaveBeenCalledOnce();
  stop();
});

test("a server that does not answer in time is a timeout", async () => {
  server = await startServer(() => undefined);
  await expect(request("POST", "/api/slow", { body: {}, timeoutMs: 30 })).rejects.toMatchObject({ status: 0, code: "timeout" });
});

test("an answer without content is undefined", async () => {
  server = await startServer((_request, response) => response.writeHead(204).end());
  expect(await request("DELETE", "/api/keys/k1")).toBeUndefined();
});
