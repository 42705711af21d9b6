import { expect, test } from "vitest";
import { advance, startProgress, type TaskProgress } from "./task-progress.ts";

type Frame = [id: string | undefined, type: string, data: unknown];

const follow = (frames: readonly Frame[], from: TaskProgress = startProgress()): TaskProgress =>
  frames.reduce((known, [id, type, data]) => advance(known, { id, type, data, receivedAt: 0 }), from);

const running = (epoch: number): Frame => [`${String(epoch)}:0`, "task.status", { state: "running", epoch, agent_name: "assistant" }];
const token = (id: string, text: string): Frame => [id, "task.token", { text }];

test("tokens of one attempt add up", () => {
  const known = follow([["1:0", "task.status", { state: "queued", epoch: 1 }], running(2), token("2:1", "Hel"), token("2:2", "lo")]);
  expect(known).toMatchObject({ text: "Hello", state: "running", cursor: "2:2", agentName: "assistant", done: false });
});

test("what was seen already changes nothing", () => {
  const frames = [running(2), token("2:1", "Hel"), token("2:2", "lo")];
  const known = follow(frames);
  expect(follow(frames, known)).toBe(known);
});

test("sequence numbers are compared as numbers", () => {
  expect(follow([running(2), token("2:9", "a"), token("2:10", "b"), token("10:1", "c")]).text).toBe("c");
});

test("a new attempt starts its text again", () => {
  const known = follow([running(2), token("2:1", "half an ans"), ["3:0", "task.status", { state: "queued", epoch: 3 }]]);
  expect(known.text).toBe("half an ans");
  expect(follow([running(4), token("4:1", "Whole")], known)).toMatchObject({ text: "Whole", epoch: 4 });
});

test("a token of a new attempt replaces the text even if its status was missed", () => {
  expect(follow([token("4:1", "new")], startProgress({ text: "old", cursor: "2:7" })).text).toBe("new");
});

test("tokens of an attempt that is over are dropped", () => {
  expect(follow([running(4), token("4:1", "new"), token("2:9", "old")]).text).toBe("new");
});

test("a reader that begins in the middle goes on from its cursor", () => {
  const known = follow([token("2:3", "c"), token("2:4", "d")], startProgress({ text: "abc", cursor: "2:3" }));
  expect(known).toMatchObject({ text: "abcd", cursor: "2:4" });
});

test("after a gap the snapshot replaces everything", () => {
  const gap: Frame = [undefined, "gap", { from: "2:1", to: "2:40" }];
  const snapshot: Frame = [undefined, "task.snapshot", { state: "running", epoch: 2, attempt: 1, text: "all of it", cursor: "2:40" }];
  const known = follow([running(2), token("2:1", "all"), gap, snapshot, token("2:40", "!!"), token("2:41", ", and more")]);
  expect(known).toMatchObject({ text: "all of it, and more", cursor: "2:41" });
});

test("a snapshot of a finished task ends it", () => {
  const snapshot: Frame = [undefined, "task.snapshot", { state: "succeeded", epoch: 2, text: "part", result: { text: "whole" }, cursor: "2:9" }];
  expect(follow([snapshot])).toMatchObject({ text: "whole", done: true, state: "succeeded" });
});

test("the result has the last word", () => {
  const finished: Frame = ["2:3", "task.finished", { state: "succeeded", result: { text: "Hello.", finish_reason: "length" }, error: null, usage: { prompt_tokens: 1, completion_tokens: 2 } }];
  expect(follow([running(2), token("2:1", "Hello"), finished])).toMatchObject({ text: "Hello.", done: true, finishReason: "length", usage: { completion_tokens: 2 } });
});

test("a failed or cancelled task keeps what was written", () => {
  const error = { code: "provider_error", message: "No." };
  const failed = follow([running(2), token("2:1", "Half"), ["2:2", "task.finished", { state: "failed", result: null, error, usage: null }]]);
  expect(failed).toMatchObject({ text: "Half", state: "failed", error, done: true });
});

test("events without a cursor do not move it", () => {
  const known = follow([running(2), token("2:1", "a"), [undefined, "task.cancelling", { reason: "user" }]]);
  expect(known).toMatchObject({ state: "cancelling", cursor: "2:1" });
});
