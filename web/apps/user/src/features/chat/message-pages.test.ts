import type { Message } from "@ai-orchestra/api/schema";
import { expect, test } from "vitest";
import { appended, cutFrom, flatten, patched } from "./message-pages.ts";
import type { MessagePages } from "./queries.ts";

const message = (id: string): Message => ({
  id, conversation_id: "c", role: "user", content: id, task_id: null, state: "complete", error: null, usage: null, finish_reason: null, model: null,
  created_at: "2026-01-01T00:00:00Z", edited_at: null, cursor: null,
});
const ids = (pages: MessagePages | undefined) => flatten(pages).map(({ id }) => id);

const pages: MessagePages = {
  pages: [{ items: [message("3"), message("4")], next_cursor: "x" }, { items: [message("1"), message("2")], next_cursor: null }],
  pageParams: [undefined, "x"],
};

test("the newest page comes last, each message once", () => {
  expect(ids(pages)).toEqual(["1", "2", "3", "4"]);
  expect(ids(appended(pages, [message("4"), message("5")]))).toEqual(["1", "2", "3", "4", "5"]);
});

test("a first message makes the first page", () => {
  expect(ids(appended(undefined, [message("1")]))).toEqual(["1"]);
});

test("an edit drops the message and what came after, also across pages", () => {
  expect(ids(cutFrom(pages, "2"))).toEqual(["1"]);
  expect(ids(cutFrom(pages, "unknown"))).toEqual(["1", "2", "3", "4"]);
});

test("a patch reaches one message", () => {
  expect(flatten(patched(pages, "2", { state: "failed" })).map(({ state }) => state)).toEqual(["complete", "failed", "complete", "complete"]);
});
