import "fake-indexeddb/auto";
import { expect, test } from "vitest";
import { Cache, DISK_LIFE_MS, MEMORY_LIFE_MS } from "./cache.ts";
import { Lru } from "./lru.ts";

test("the least used entry leaves the memory first", () => {
  const lru = new Lru(2, 1_000);
  lru.set("a", 1);
  lru.set("b", 2);
  lru.get("a");
  lru.set("c", 3);
  expect([lru.get("a"), lru.get("b"), lru.get("c")]).toEqual([1, undefined, 3]);
});

test("an entry outlives its life in memory by nothing", () => {
  let now = 0;
  const lru = new Lru(2, 1_000, () => now);
  lru.set("a", 1);
  now = 1_000;
  expect(lru.get("a")).toBe(1);
  now = 1_001;
  expect(lru.get("a")).toBeUndefined();
});

test("what memory forgot the disk still knows, for a day", async () => {
  let now = 0;
  const cache = new Cache("a-day", () => now);
  await cache.set("api-cache", "agents", [1]);
  now = MEMORY_LIFE_MS + 1;
  expect(await cache.get("api-cache", "agents")).toEqual([1]);
  now = DISK_LIFE_MS + 1;
  await cache.prune();
  now += MEMORY_LIFE_MS + 1;
  expect(await cache.get("api-cache", "agents")).toBeUndefined();
});

test("another page load reads what this one wrote", async () => {
  await new Cache("two-loads").set("user-data", "draft", "hello");
  expect(await new Cache("two-loads").get("user-data", "draft")).toBe("hello");
});

test("the stores do not see each other's keys", async () => {
  const cache = new Cache("stores");
  await cache.set("api-cache", "key", "api");
  expect(await cache.get("user-data", "key")).toBeUndefined();
});

test("signing out leaves nothing behind", async () => {
  const cache = new Cache("sign-out");
  await cache.set("api-cache", "conversations", ["secret"]);
  await cache.clear();
  expect(await cache.get("api-cache", "conversations")).toBeUndefined();
  expect(await new Cache("sign-out").get("api-cache", "conversations")).toBeUndefined();
});
