import { expect, test } from "vitest";
import { splitBlocks } from "./split-blocks.ts";

test("paragraphs are blocks", () => {
  expect(splitBlocks("one\n\ntwo\nstill two\n\n\nthree")).toEqual(["one\n", "two\nstill two\n\n", "three"]);
});

test("a code fence is never cut", () => {
  const code = "```python\na = 1\n\nb = 2\n```";
  expect(splitBlocks(`before\n\n${code}\n\nafter`)).toEqual(["before\n", `${code}\n`, "after"]);
  expect(splitBlocks("````md\n```\n\ninner\n```\n\nstill\n````")).toHaveLength(1);
});

test("an unfinished fence keeps the rest", () => {
  expect(splitBlocks("text\n\n```\na\n\nb")).toEqual(["text\n", "```\na\n\nb"]);
});

test("a list with blank lines between its items is one block", () => {
  expect(splitBlocks("1. one\n\n2. two\n\n   its second part\n\nafter")).toEqual(["1. one\n\n2. two\n\n   its second part\n", "after"]);
});

test("a text with link definitions stays whole", () => {
  const text = "see [it][1]\n\nmore\n\n[1]: https://example.org";
  expect(splitBlocks(text)).toEqual([text]);
});

test("growing text changes only the last block", () => {
  const text = "# Title\n\nfirst\n\n- a\n- b\n\n```\ncode\n```\n\nlast words";
  for (let length = 1; length < text.length; length += 1) {
    const shorter = splitBlocks(text.slice(0, length));
    const longer = splitBlocks(text.slice(0, length + 1));
    const settled = Math.min(shorter.length, longer.length) - 1;
    expect(longer.slice(0, settled)).toEqual(shorter.slice(0, settled));
  }
});
