/**
 * Follows one task's feed to its end. Readers of one task share one connection; listeners are told at most once per
 * frame, because tokens come faster than a screen can show them.
 */
import { openSse, type SseConnection, type SseEvent } from "./sse.ts";
import { advance, startProgress, type TaskProgress } from "./task-progress.ts";

/** How long a feed without readers stays open, so that a change of page does not reconnect. */
const LINGER_MS = 2_000;
/** About as fast as the eye notices, and slow enough for Markdown to be laid out in between. */
const FRAME_MS = 40;

export class TaskStream {
  readonly taskId: string;
  readonly #listeners = new Set<() => void>();
  #progress: TaskProgress;
  #shown: TaskProgress;
  #connection: SseConnection | undefined;
  #frame: ReturnType<typeof setTimeout> | undefined;
  #linger: ReturnType<typeof setTimeout> | undefined;

  constructor(taskId: string, from: { text?: string; cursor?: string | null | undefined }) {
    this.taskId = taskId;
    this.#progress = startProgress(from);
    this.#shown = this.#progress;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    clearTimeout(this.#linger);
    if (!this.#progress.done) this.#connection ??= this.#open();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#linger = setTimeout(this.#close, LINGER_MS);
    };
  };

  readonly snapshot = (): TaskProgress => this.#shown;

  get connection(): SseConnection | undefined {
    return this.#connection;
  }

  #open(): SseConnection {
    return openSse({
      url: `/api/tasks/${this.taskId}/events`,
      lastEventId: this.#progress.cursor,
      onEvent: this.#onEvent,
      onRefused: this.#close,
    });
  }

  readonly #onEvent = (event: SseEvent): void => {
    this.#progress = advance(this.#progress, event);
    if (this.#progress.done) this.#close();
    this.#frame ??= setTimeout(this.#show, this.#progress.done ? 0 : FRAME_MS);
  };

  readonly #show = (): void => {
    this.#frame = undefined;
    this.#shown = this.#progress;
    for (const listener of this.#listeners) listener();
  };

  readonly #close = (): void => {
    this.#connection?.close();
    this.#connection = undefined;
    if (this.#listeners.size === 0) streams.delete(this.taskId);
  };
}

const streams = new Map<string, TaskStream>();

/** The live feed is back, so streams that wait for their next try take it now. */
export function reconnectTaskStreams(): void {
  for (const stream of streams.values()) stream.connection?.reconnectNow();
}

/** The network has changed: what was connected may be dead without knowing it. */
export function restartTaskStreams(): void {
  for (const stream of streams.values()) stream.connection?.restart();
}

/** The stream of this task, opened where the reader stands; later readers join the one that runs. */
export function taskStream(taskId: string, from: { text?: string; cursor?: string | null | undefined } = {}): TaskStream {
  const known = streams.get(taskId);
  if (known) return known;
  const stream = new TaskStream(taskId, from);
  streams.set(taskId, stream);
  return stream;
}
