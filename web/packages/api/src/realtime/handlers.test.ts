import { expect, test, vi } from "vitest";
import { Handlers, type LiveEvent } from "./handlers.ts";

const event = (type: string): LiveEvent => ({ type, data: {}, timestamp: "2026-01-01T00:00:00Z", receivedAt: 1 });

test("a handler hears its type until it unsubscribes", () => {
  const handlers = new Handlers();
  const heard = vi.fn();
  const stop = handlers.add("task.status", heard);
  handlers.dispatch(event("task.status"));
  handlers.dispatch(event("task.finished"));
  stop();
  handlers.dispatch(event("task.status"));
  expect(heard).toHaveBeenCalledOnce();
  expect(handlers.types).toEqual([]);
});

test("a prefix hears every type that begins with it", () => {
  const handlers = new Handlers();
  const heard = vi.fn();
  handlers.add("agent.*", heard);
  handlers.dispatch(event("agent.status.changed"));
  handlers.dispatch(event("agents"));
  expect(heard).toHaveBeenCalledOnce();
});

test("a handler that fails never stops the others", () => {
  const reported = vi.fn();
  vi.stubGlobal("reportError", reported);
  const handlers = new Handlers();
  const heard = vi.fn();
  handlers.add("task.status", () => {
    throw new Error("broken");
  });
  handlers.add("task.status", heard);
  handlers.dispatch(event("task.status"));
  expect(heard).toHaveBeenCalledOnce();
  expect(reported).toHaveBeenCalledOnce();
});
