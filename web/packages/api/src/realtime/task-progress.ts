/**
 * What is known of a task from its feed, as a pure reducer. Cursors are `epoch:seq`; a new epoch is a new attempt,
 * whose text starts again; what was seen already changes nothing, so a feed can be resumed from anywhere.
 */
import type { TaskError, TaskState, Usage } from "../schema.ts";
import type { SseEvent } from "./sse.ts";

export interface TaskProgress {
  cursor: string | undefined;
  /** The epoch whose text is in `text`. */
  epoch: number;
  text: string;
  state: TaskState;
  agentName: string | undefined;
  progress: { fraction: number | null; message: string | null } | undefined;
  result: unknown;
  error: TaskError | undefined;
  usage: Usage | undefined;
  /** Why the model ended, as its agent says: `length` when it had no more room. */
  finishReason: string | undefined;
  done: boolean;
}

interface Cursor {
  epoch: number;
  seq: number;
}

export function parseCursor(text: string | undefined): Cursor | undefined {
  const match = /^(\d+):(\d+)$/.exec(text ?? "");
  return match ? { epoch: Number(match[1]), seq: Number(match[2]) } : undefined;
}

export function startProgress(from: { text?: string; cursor?: string | null | undefined } = {}): TaskProgress {
  const cursor = from.cursor ?? undefined;
  return {
    cursor,
    epoch: parseCursor(cursor)?.epoch ?? 0,
    text: from.text ?? "",
    state: "queued",
    agentName: undefined,
    progress: undefined,
    result: undefined,
    error: undefined,
    usage: undefined,
    finishReason: undefined,
    done: false,
  };
}

export function advance(known: TaskProgress, event: SseEvent): TaskProgress {
  if (event.type === "task.snapshot") return fromSnapshot(known, event.data as Snapshot);
  const at = parseCursor(event.id);
  if (at && !isNews(at, parseCursor(known.cursor))) return known;
  const next = applied(known, event, at?.epoch);
  return at && event.id !== undefined ? { ...next, cursor: event.id } : next;
}

function isNews(at: Cursor, last: Cursor | undefined): boolean {
  if (!last) return true;
  return at.epoch > last.epoch || (at.epoch === last.epoch && at.seq > last.seq);
}

interface StatusData {
  state: TaskState;
  epoch?: number;
  agent_name?: string | null;
}

interface FinishedData {
  state: TaskState;
  result?: unknown;
  error?: TaskError | null;
  usage?: Usage | null;
}

interface Snapshot extends FinishedData {
  epoch?: number;
  text?: string | null;
  cursor?: string | null;
}

function applied(known: TaskProgress, event: SseEvent, epoch: number | undefined): TaskProgress {
  switch (event.type) {
    case "task.status":
      return withStatus(known, event.data as StatusData);
    case "task.token":
      return withToken(known, (event.data as { text: string }).text, epoch);
    case "task.progress":
      return { ...known, progress: event.data as { fraction: number | null; message: string | null } };
    case "task.cancelling":
      return { ...known, state: "cancelling" };
    case "task.finished":
      return withEnd(known, event.data as FinishedData);
    default:
      return known;
  }
}

function withStatus(known: TaskProgress, status: StatusData): TaskProgress {
  const next = { ...known, state: status.state, agentName: status.agent_name ?? known.agentName };
  const epoch = status.epoch ?? known.epoch;
  if (status.state !== "running" || epoch <= known.epoch) return next;
  return { ...next, epoch, text: "", progress: undefined };
}

function withToken(known: TaskProgress, text: string, epoch: number | undefined): TaskProgress {
  if (epoch === undefined || epoch === known.epoch) return { ...known, text: known.text + text };
  if (epoch < known.epoch) return known;
  return { ...known, epoch, text };
}

function withEnd(known: TaskProgress, end: FinishedData): TaskProgress {
  const answer = end.result as { text?: unknown; finish_reason?: unknown } | null | undefined;
  const finalText = answer?.text;
  return {
    ...known,
    state: end.state,
    text: typeof finalText === "string" ? finalText : known.text,
    result: end.result ?? undefined,
    error: end.error ?? undefined,
    usage: end.usage ?? known.usage,
    finishReason: typeof answer?.finish_reason === "string" ? answer.finish_reason : undefined,
    done: true,
  };
}

function fromSnapshot(known: TaskProgress, snapshot: Snapshot): TaskProgress {
  const cursor = snapshot.cursor ?? known.cursor;
  const epoch = snapshot.epoch ?? parseCursor(cursor)?.epoch ?? known.epoch;
  const replaced: TaskProgress = { ...known, cursor, epoch, text: snapshot.text ?? "", state: snapshot.state };
  return isTerminal(snapshot.state) ? withEnd(replaced, snapshot) : replaced;
}

export function isTerminal(state: TaskState): boolean {
  return state === "succeeded" || state === "failed" || state === "cancelled";
}
