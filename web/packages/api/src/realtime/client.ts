/**
 * The live feed of the signed-in user: connect, subscribe by event type, automatic reconnect. Types beyond the
 * server's default set are asked for as soon as somebody listens, and again after every reconnect.
 */
import { request } from "../rest.ts";
import type { Agent } from "../schema.ts";
import { useConnection } from "../stores/connection.ts";
import { noteAgents, noteTask, type LiveTask } from "../stores/realtime.ts";
import { Handlers, type Handler } from "./handlers.ts";
import { openSse, type SseConnection, type SseEvent } from "./sse.ts";
import { reconnectTaskStreams, restartTaskStreams } from "./task-stream.ts";

const DEFAULT_TYPES = new Set(["task.status", "task.finished", "conversation.updated"]);
/** Types that the client itself makes of what the feed says about itself. */
const OWN_TYPES = new Set(["feed.ready", "feed.snapshot"]);

/** A tab that nobody looks at gives its connection back after this: over HTTP/1.1 a browser has only six for all. */
const HIDDEN_MS = 30_000;

class RealtimeClient {
  readonly #handlers = new Handlers();
  #connection: SseConnection | undefined;
  #lastEventId: string | undefined;
  #feedId: string | undefined;
  #asked = new Set<string>();
  #wanted = false;
  #hiddenTimer: ReturnType<typeof setTimeout> | undefined;

  connect(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    addEventListener("online", this.#back);
    addEventListener("offline", this.#lost);
    document.addEventListener("visibilitychange", this.#looked);
    this.#open();
  }

  disconnect(): void {
    this.#wanted = false;
    this.#lastEventId = undefined;
    clearTimeout(this.#hiddenTimer);
    removeEventListener("online", this.#back);
    removeEventListener("offline", this.#lost);
    document.removeEventListener("visibilitychange", this.#looked);
    this.#pause();
    useConnection.setState({ status: "disconnected", latency: undefined, retryCount: 0 });
  }

  subscribe(type: string, handler: Handler): () => void {
    const unsubscribe = this.#handlers.add(type, handler);
    this.#ask(type);
    return unsubscribe;
  }

  #open(): void {
    useConnection.setState({ status: "connecting", retryCount: 0 });
    this.#connection = openSse({
      url: "/api/events/stream",
      lastEventId: this.#lastEventId,
      onEvent: this.#onEvent,
      onOpen: (latency) => {
        useConnection.setState({ status: "connected", latency: Math.round(latency), retryCount: 0 });
        reconnectTaskStreams();
      },
      onRetry: (retryCount) => {
        this.#feedId = undefined;
        useConnection.setState({ status: retryCount > 1 ? "disconnected" : "connecting", retryCount });
      },
      onRefused: () => {
        this.disconnect();
      },
    });
  }

  #pause(): void {
    this.#connection?.close();
    this.#connection = undefined;
    this.#feedId = undefined;
  }

  /** What was missed while the tab was hidden is replayed from the last id. */
  readonly #looked = (): void => {
    clearTimeout(this.#hiddenTimer);
    if (document.hidden) {
      this.#hiddenTimer = setTimeout(() => {
        this.#pause();
      }, HIDDEN_MS);
    } else if (!this.#connection) this.#open();
  };

  readonly #back = (): void => {
    this.#connection?.restart();
    restartTaskStreams();
  };

  readonly #lost = (): void => {
    useConnection.setState({ status: "disconnected" });
  };

  readonly #onEvent = (event: SseEvent): void => {
    this.#lastEventId = event.id ?? this.#lastEventId;
    if (event.type === "ready") this.#ready(event);
    else if (event.type === "snapshot") this.#snapshot(event);
    else if (event.type !== "gap" && event.type !== "closing") this.#dispatch(event);
  };

  #ready(event: SseEvent): void {
    this.#feedId = (event.data as { feed_id: string }).feed_id;
    this.#asked = new Set();
    for (const type of this.#handlers.types) this.#ask(type);
    this.#own("feed.ready", event);
  }

  #snapshot(event: SseEvent): void {
    const { agents, tasks } = event.data as { agents?: Agent[]; tasks?: ({ id: string } & Omit<LiveTask, "task_id">)[] };
    noteAgents(agents ?? [], event.receivedAt);
    for (const { id, ...task } of tasks ?? []) noteTask({ task_id: id, ...task }, event.receivedAt);
    this.#own("feed.snapshot", event);
  }

  #own(type: string, event: SseEvent): void {
    const timestamp = new Date(event.receivedAt).toISOString();
    this.#handlers.dispatch({ type, data: event.data, timestamp, receivedAt: event.receivedAt });
  }

  #dispatch(event: SseEvent): void {
    const live = event.data as { type?: string; data?: unknown; timestamp?: string };
    this.#handlers.dispatch({
      type: live.type ?? event.type,
      data: live.data ?? live,
      timestamp: live.timestamp ?? new Date(event.receivedAt).toISOString(),
      receivedAt: event.receivedAt,
    });
  }

  #ask(type: string): void {
    const feedId = this.#feedId;
    if (!feedId || DEFAULT_TYPES.has(type) || OWN_TYPES.has(type) || this.#asked.has(type)) return;
    this.#asked.add(type);
    request("POST", "/api/events/subscribe", { body: { eventType: type, feedId }, idempotencyKey: `${feedId}:${type}` }).catch(
      () => this.#asked.delete(type),
    );
  }
}

export const realtime = new RealtimeClient();
