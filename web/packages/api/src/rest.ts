/**
 * The REST half of the client: JSON over same-origin fetch with the session cookie, 10 s per try, three more tries
 * with exponential back-off where repeating is safe (idempotent verbs, or a POST that carries an Idempotency-Key).
 */
import { ApiError, networkError, problemOf, timeoutError } from "./problem.ts";
import { fullJitter, pause, REST_BACKOFF } from "./retry.ts";

export const TIMEOUT_MS = 10_000;
export const RETRIES = 3;
/** A longer Retry-After is left to the person: nobody waits a minute for a spinner. */
const LONGEST_WAIT_MS = 10_000;

/** Refusals of what was just typed or clicked, not of the login that the browser has. */
const ABOUT_THE_DOOR = new Set(["invalid_credentials", "invalid_link"]);

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface RequestOptions {
  query?: Record<string, string | number | undefined>;
  body?: unknown;
  idempotencyKey?: string;
  signal?: AbortSignal;
  timeoutMs?: number;
}

type Listener = () => void;
const unauthorizedListeners = new Set<Listener>();

/** Calls `listener` whenever the server says that nobody is signed in; returns the unsubscribe function. */
export function onUnauthorized(listener: Listener): () => void {
  unauthorizedListeners.add(listener);
  return () => unauthorizedListeners.delete(listener);
}

export function announceUnauthorized(): void {
  for (const listener of unauthorizedListeners) listener();
}

export async function request<Answer>(method: Method, path: string, options: RequestOptions = {}): Promise<Answer> {
  const repeatable = method !== "POST" && method !== "PATCH" ? true : options.idempotencyKey !== undefined;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await once<Answer>(method, path, options);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 401 && !ABOUT_THE_DOOR.has(error.code)) announceUnauthorized();
      const wait = waitBefore(error, attempt);
      if (!repeatable || wait === undefined) throw error;
      await pause(wait, options.signal);
      options.signal?.throwIfAborted();
    }
  }
}

function waitBefore(error: ApiError, attempt: number): number | undefined {
  if (!error.transient || attempt >= RETRIES) return undefined;
  if (error.retryAfter === undefined) return fullJitter(attempt, REST_BACKOFF);
  const asked = error.retryAfter * 1000;
  return asked <= LONGEST_WAIT_MS ? asked : undefined;
}

async function once<Answer>(method: Method, path: string, options: RequestOptions): Promise<Answer> {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  try {
    const response = await fetch(path + queryString(options.query), {
      method,
      signal,
      credentials: "same-origin",
      headers: headersOf(options),
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    });
    if (!response.ok) throw await problemOf(response);
    if (response.status === 204) return undefined as Answer;
    return (await response.json()) as Answer;
  } catch (error) {
    if (error instanceof ApiError || options.signal?.aborted) throw error;
    throw timeout.aborted ? timeoutError() : networkError(error);
  }
}

function headersOf(options: RequestOptions): Record<string, string> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  if (options.idempotencyKey !== undefined) headers["Idempotency-Key"] = options.idempotencyKey;
  return headers;
}

function queryString(query: RequestOptions["query"]): string {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== "") pairs.set(name, String(value));
  }
  const text = pairs.toString();
  return text === "" ? "" : `?${text}`;
}
