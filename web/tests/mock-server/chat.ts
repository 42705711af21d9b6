/** Conversations, and answers that arrive word by word whether anybody reads or not. */
import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { Message } from "../../packages/api/src/schema.ts";
import { ANSWER } from "./answer-text.ts";
import { state } from "./data.ts";
import { frame, openStream } from "./http.ts";
import { publish } from "./live.ts";

interface Run {
  message: Message;
  frames: { cursor: string; text: string }[];
  readers: Set<ServerResponse>;
  timer: NodeJS.Timeout | undefined;
}

const runs = new Map<string, Run>();
const TOKEN_MS = Number(process.env.TOKEN_MS ?? 30);

export function messagesOf(conversation: string): Message[] {
  return (state.messages[conversation] ??= []);
}

export function newMessage(conversation: string, role: Message["role"], content: string): Message {
  const message: Message = {
    id: randomUUID(), conversation_id: conversation, role, content, task_id: null, state: "complete", error: null, usage: null, finish_reason: null,
    model: role === "assistant" ? state.defaultModel : null, created_at: new Date().toISOString(), edited_at: null, cursor: null,
  };
  messagesOf(conversation).push(message);
  return message;
}

export function startAnswer(conversation: string, prompt: string): Message {
  const message = newMessage(conversation, "assistant", "");
  message.task_id = randomUUID();
  message.state = "streaming";
  const run: Run = { message, frames: [], readers: new Set(), timer: undefined };
  runs.set(message.task_id, run);
  emit(run, "1:0", "task.status", { state: "queued", epoch: 1, attempt: 1 });
  emit(run, "2:0", "task.status", { state: "running", epoch: 2, attempt: 1, agent_id: "a1", agent_name: "assistant-1" });
  const words = (prompt.includes("fail") ? "I begin, but" : ANSWER).match(/\S+\s*|\s+/g) ?? [];
  let at = 0;
  run.timer = setInterval(() => {
    const word = words[at];
    at += 1;
    if (word === undefined) finish(run, at + 1, prompt.includes("fail") ? "failed" : "succeeded");
    else {
      message.content += word;
      message.cursor = `2:${String(at)}`;
      emit(run, message.cursor, "task.token", { text: word });
    }
  }, TOKEN_MS);
  return message;
}

function finish(run: Run, seq: number, outcome: "succeeded" | "failed" | "cancelled"): void {
  clearInterval(run.timer);
  const { message } = run;
  message.state = outcome === "succeeded" ? "complete" : outcome === "failed" ? "failed" : "stopped";
  message.usage = outcome === "succeeded" ? { prompt_tokens: 48, completion_tokens: 512, first_token_ms: 180 } : null;
  message.error = outcome === "failed" ? { code: "provider_error", message: "The model's provider answered 500 three times." } : null;
  emit(run, `2:${String(seq)}`, "task.finished", {
    state: outcome, result: outcome === "succeeded" ? { text: message.content } : null, error: message.error, usage: message.usage,
  });
  for (const reader of run.readers) reader.end();
  publish("conversation.updated", { conversation_id: message.conversation_id });
}

function emit(run: Run, cursor: string, type: string, data: unknown): void {
  const text = frame(type, data, cursor);
  run.frames.push({ cursor, text });
  for (const reader of run.readers) reader.write(text);
}

export function stop(message: Message): void {
  const run = runs.get(message.task_id ?? "");
  if (run && message.state === "streaming") finish(run, 9_999, "cancelled");
}

export function readTask(taskId: string, after: string | undefined, response: ServerResponse): boolean {
  const run = runs.get(taskId);
  if (!run) return false;
  openStream(response);
  const from = after ? run.frames.findIndex((sent) => sent.cursor === after) + 1 : 0;
  for (const sent of run.frames.slice(from)) response.write(sent.text);
  if (run.message.state !== "streaming") {
    response.end();
    return true;
  }
  run.readers.add(response);
  response.on("close", () => run.readers.delete(response));
  return true;
}
