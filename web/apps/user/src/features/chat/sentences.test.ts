import { expect, test } from "vitest";
import { finishedSentences } from "./sentences.ts";

test("only finished sentences are told", () => {
  expect(finishedSentences("First one. Second on", 0)).toEqual({ spoken: "First one.", until: 11 });
  expect(finishedSentences("First one. Second on", 11)).toEqual({ spoken: "", until: 11 });
});

test("Chinese sentences end without a space", () => {
  expect(finishedSentences("你好。我在想", 0)).toEqual({ spoken: "你好。", until: 3 });
});

test("a number's point ends nothing, and marks are not read out", () => {
  expect(finishedSentences("**Pi** is 3.14159 and", 0).spoken).toBe("");
  expect(finishedSentences("**Pi** is [3.14](https://example.org)!", 0).spoken).toBe("Pi is 3.14!");
});
