/**
 * One SSE connection on fetch (EventSource can neither send headers nor tell why it failed). It stays connected:
 * every loss is healed by a reconnect with full jitter that resumes after the last id, until `close` or a refusal.
 */
import { createParser } from "eventsource-parser";
import { type ApiError, networkError, problemOf } from "../problem.ts";
import { announceUnauthorized } from "../rest.ts";
import { FEED_BACKOFF, fullJitter, pause } from "../retry.ts";

/** The server writes a comment every 15 s; after two missed ones the connection is taken for dead. */
export const WATCHDOG_MS = 35_000;

export interface SseEvent {
  id: string | undefined;
  type: string;
  data: unknown;
  /** Milliseconds since the epoch when this browser received it. */
  receivedAt: number;
}

export interface SseOptions {
  url: string;
  lastEventId?: string | undefined;
  onEvent: (event: SseEvent) => void;
  onOpen?: (latencyMs: number) => void;
  /** Called before each wait for a reconnect with the number of tries so far. */
  onRetry?: (retryCount: number, error: ApiError) => void;
  /** Called once when the server refuses for good (4xx). */
  onRefused?: (error: ApiError) => void;
  watchdogMs?: number;
  random?: () => number;
}

export interface SseConnection {
  close: () => void;
  /** Takes the next try now if it is waiting for one. */
  reconnectNow: () => void;
  /** Drops the connection, dead or alive, and connects anew: the network has changed under it. */
  restart: () => void;
}

export function openSse(options: SseOptions): SseConnection {
  const closing = new AbortController();
  let waiting = new AbortController();
  let reading = new AbortController();
  let lastEventId = options.lastEventId;
  const onEvent = (event: SseEvent) => {
    if (event.id !== undefined) lastEventId = event.id;
    options.onEvent(event);
  };

  const isClosed = () => closing.signal.aborted;
  const run = async () => {
    for (let retries = 0; !isClosed(); retries += 1) {
      const opened = (latency: number) => {
        retries = 0;
        options.onOpen?.(latency);
      };
      reading = new AbortController();
      const ends = AbortSignal.any([reading.signal, closing.signal]);
      const error = await connectOnce(options, { lastEventId, onEvent, onOpen: opened, closing: ends });
      if (isClosed()) return;
      if (isRefusal(error)) {
        if (error.status === 401) announceUnauthorized();
        options.onRefused?.(error);
        return;
      }
      if (reading.signal.aborted) continue;
      options.onRetry?.(retries + 1, error);
      waiting = new AbortController();
      const wait = error.retryAfter === undefined ? fullJitter(retries, FEED_BACKOFF, options.random) : error.retryAfter * 1000;
      await pause(wait, AbortSignal.any([waiting.signal, closing.signal]));
    }
  };
  void run();
  return {
    close: () => {
      closing.abort();
    },
    reconnectNow: () => {
      waiting.abort();
    },
    restart: () => {
      reading.abort();
      waiting.abort();
    },
  };
}

function isRefusal(error: ApiError): boolean {
  return error.status >= 400 && error.status < 500 && error.status !== 429 && error.status !== 408;
}

interface Attempt {
  lastEventId: string | undefined;
  onEvent: (event: SseEvent) => void;
  onOpen: (latencyMs: number) => void;
  closing: AbortSignal;
}

/** Connects and reads until the connection ends, for whatever reason; that reason is the answer. */
async function connectOnce(options: SseOptions, attempt: Attempt): Promise<ApiError> {
  const dead = new AbortController();
  const watchdogMs = options.watchdogMs ?? WATCHDOG_MS;
  let watchdog = setTimeout(() => {
    dead.abort();
  }, watchdogMs);
  const alive = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => {
      dead.abort();
    }, watchdogMs);
  };
  try {
    const started = performance.now();
    const response = await fetch(options.url, {
      headers: { Accept: "text/event-stream", ...(attempt.lastEventId ? { "Last-Event-ID": attempt.lastEventId } : {}) },
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.any([attempt.closing, dead.signal]),
    });
    if (!response.ok || !response.body) return await problemOf(response);
    attempt.onOpen(performance.now() - started);
    await readEvents(response.body, attempt.onEvent, alive);
    return networkError("the stream ended");
  } catch (error) {
    return networkError(error);
  } finally {
    clearTimeout(watchdog);
  }
}

async function readEvents(body: ReadableStream<Uint8Array>, onEvent: (event: SseEvent) => void, alive: () => void) {
  const parser = createParser({
    onEvent: (message) => {
      const data = parseJson(message.data);
      if (data !== undefined) onEvent({ id: message.id, type: message.event ?? "message", data, receivedAt: Date.now() });
    },
  });
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive();
    parser.feed(value);
  }
}

/** A frame that is not JSON is not ours; it must not end the stream. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
