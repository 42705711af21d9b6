/**
 * An answer as it is now: what the server stored, or, while it is being written, what its task's feed says. Several
 * tabs and devices may read the same answer; none of them owns it, so closing one changes nothing.
 */
import { isTerminal, type TaskProgress } from "@ai-orchestra/api/realtime/task-progress";
import { taskStream } from "@ai-orchestra/api/realtime/task-stream";
import type { Message, MessageState, TaskState } from "@ai-orchestra/api/schema";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { patched } from "./message-pages.ts";
import { messagesKey, type MessagePages } from "./queries.ts";

export interface Answer {
  content: string;
  state: MessageState;
  /** Where its task stands while it is being written. */
  phase: TaskState | undefined;
  error: Message["error"];
  usage: Message["usage"];
  finishReason: string | null;
}

const NEVER = () => () => undefined;
const NOTHING = () => undefined;

export function useAnswer(message: Message): Answer {
  const client = useQueryClient();
  const taskId = message.state === "streaming" ? message.task_id : null;
  // Only where the stream starts: later versions of the message are behind what the stream knows.
  const stream = useMemo(
    () => (taskId ? taskStream(taskId, { text: message.content, cursor: message.cursor ?? null }) : undefined),
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [taskId],
  );
  const progress = useSyncExternalStore<TaskProgress | undefined>(stream?.subscribe ?? NEVER, stream?.snapshot ?? NOTHING);

  // Writes the end of the answer into the cache, where pages without the feed read it.
  useEffect(() => {
    if (!progress?.done) return;
    const key = messagesKey(message.conversation_id);
    client.setQueryData<MessagePages>(key, (pages) => patched(pages, message.id, ended(progress)));
    void client.invalidateQueries({ queryKey: ["conversations"] });
  }, [client, message.conversation_id, message.id, progress]);

  if (!progress) {
    const { content, state, error, usage } = message;
    return { content, state, phase: undefined, error, usage, finishReason: message.finish_reason };
  }
  return {
    content: progress.text,
    state: stateOf(progress.state),
    phase: progress.state,
    error: progress.error ?? null,
    usage: progress.usage ?? null,
    finishReason: progress.finishReason ?? null,
  };
}

function ended(progress: TaskProgress): Partial<Message> {
  return {
    content: progress.text,
    state: stateOf(progress.state),
    error: progress.error ?? null,
    usage: progress.usage ?? null,
    finish_reason: progress.finishReason ?? null,
  };
}

function stateOf(state: TaskState): MessageState {
  if (!isTerminal(state)) return "streaming";
  if (state === "succeeded") return "complete";
  return state === "failed" ? "failed" : "stopped";
}
