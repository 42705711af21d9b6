import type { ServerResponse } from "node:http";
import { afterEach, expect, test, vi } from "vitest";
import { startServer, type Answer, type TestServer } from "../../../../tests/support/server.ts";
import { openSse, type SseConnection, type SseEvent, type SseOptions } from "./sse.ts";

let server: TestServer | undefined;
let connection: SseConnection | undefined;

afterEach(() => {
  connection?.close();
  server?.close();
});

const stream = (response: ServerResponse, text: string) => {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.write(text);
};

async function open(answer: Answer, options: Partial<SseOptions> = {}): Promise<SseEvent[]> {
  const events: SseEvent[] = [];
  server = await startServer(answer);
  connection = openSse({ url: "/feed", onEvent: (event) => events.push(event), random: () => 0, ...options });
  return events;
}

test("events arrive with their type, id, data and the time of receipt", async () => {
  const events = await open((_request, response) => {
    stream(response, ': hb\n\nid: 2:1\nevent: task.token\ndata: {"text":"你好"}\n\n');
  });
  await vi.waitFor(() => {
    expect(events).toHaveLength(1);
  });
  expect(events[0]).toMatchObject({ id: "2:1", type: "task.token", data: { text: "你好" } });
  expect(events[0]?.receivedAt).toBeGreaterThan(0);
});

test("a cut stream is resumed after the last id, also when later events had none", async () => {
  const events = await open((_request, response, count) => {
    stream(response, `id: 2:${String(count)}\ndata: {}\n\nevent: note\ndata: {}\n\n`);
    if (count < 3) response.end();
  });
  await vi.waitFor(() => {
    expect(events).toHaveLength(6);
  });
  expect(server?.requests.map((sent) => sent.headers["last-event-id"])).toEqual([undefined, "2:1", "2:2"]);
});

test("a reader may begin at a cursor", async () => {
  await open((_request, response) => {
    stream(response, "");
  }, { lastEventId: "2:7" });
  await vi.waitFor(() => {
    expect(server?.requests[0]?.headers["last-event-id"]).toBe("2:7");
  });
});

test("a stream that falls silent is taken for dead", async () => {
  const retried = vi.fn();
  await open((_request, response, count) => {
    stream(response, count === 1 ? ": silence\n\n" : "data: {}\n\n");
  }, { watchdogMs: 40, onRetry: retried });
  await vi.waitFor(() => {
    expect(server?.requests.length).toBeGreaterThan(1);
  });
  expect(retried).toHaveBeenCalledWith(1, expect.objectContaining({ code: "network" }));
});

test("an unavailable server is asked again, a refusal is final", async () => {
  const refused = vi.fn();
  await open((_request, response, count) => {
    response.writeHead(count === 1 ? 503 : 404).end();
  }, { onRefused: refused });
  await vi.waitFor(() => {
    expect(refused).toHaveBeenCalledOnce();
  });
  expect(server?.requests).toHaveLength(2);
});

test("the count of retries starts again once connected", async () => {
  const retries: number[] = [];
  await open((_request, response, count) => {
    if (count === 4) stream(response, "data: {}\n\n");
    if (count === 4) response.end();
    else if (count < 6) response.writeHead(503).end();
    else stream(response, "");
  }, { onRetry: (count) => retries.push(count) });
  await vi.waitFor(() => {
    expect(retries).toEqual([1, 2, 3, 1, 2]);
  });
});

test("reconnecting now ends the wait", async () => {
  const events = await open((_request, response, count) => {
    if (count === 1) response.writeHead(503, { "Retry-After": "3600" }).end();
    else stream(response, "data: {}\n\n");
  }, { onRetry: () => setTimeout(() => connection?.reconnectNow()) });
  await vi.waitFor(() => {
    expect(events).toHaveLength(1);
  });
});

test("a restart drops what is connected and resumes at once", async () => {
  const retried = vi.fn();
  const events = await open((_request, response, count) => {
    stream(response, `id: 1:${String(count)}\ndata: {}\n\n`);
  }, { onRetry: retried });
  await vi.waitFor(() => {
    expect(events).toHaveLength(1);
  });
  connection?.restart();
  await vi.waitFor(() => {
    expect(events).toHaveLength(2);
  });
  expect(server?.requests[1]?.headers["last-event-id"]).toBe("1:1");
  expect(retried).not.toHaveBeenCalled();
});

test("a closed connection stays closed", async () => {
  const events = await open((_request, response) => {
    stream(response, "data: {}\n\n");
    response.end();
  });
  await vi.waitFor(() => {
    expect(events.length).toBeGreaterThan(0);
  });
  connection?.close();
  // A try that was on its way has arrived when the first of these is answered; none may follow.
  server?.answerWith((_request, response) => response.writeHead(204).end());
  await fetch("/first");
  const seen = server?.requests.length ?? 0;
  await fetch("/second");
  expect(server?.requests.slice(seen).map((sent) => sent.url)).toEqual(["/second"]);
});

test("a frame that is not JSON is passed over", async () => {
  const events = await open((_request, response) => {
    stream(response, "data: <html>\n\ndata: 1\n\n");
  });
  await vi.waitFor(() => {
    expect(events.map((event) => event.data)).toEqual([1]);
  });
});
