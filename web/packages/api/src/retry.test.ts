import { expect, test } from "vitest";
import { fullJitter, pause } from "./retry.ts";

const BACKOFF = { baseMs: 100, capMs: 1_000 };

test("the wait is anywhere between nothing and a ceiling that doubles", () => {
  expect(fullJitter(0, BACKOFF, () => 1)).toBe(100);
  expect(fullJitter(2, BACKOFF, () => 1)).toBe(400);
  expect(fullJitter(2, BACKOFF, () => 0.5)).toBe(200);
  expect(fullJitter(2, BACKOFF, () => 0)).toBe(0);
});

test("the ceiling stops growing at the cap", () => {
  expect(fullJitter(30, BACKOFF, () => 1)).toBe(1_000);
});

test("an aborted pause ends at once", async () => {
  const stop = new AbortController();
  const waiting = pause(60_000, stop.signal);
  stop.abort();
  await waiting;
  await pause(60_000, stop.signal);
});
