import { expect, test } from "vitest";
import { isOtherApp, safeNext } from "./after-sign-in.ts";

test.each(["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", undefined, "/login?next=/"])("%s leads home", (next) => {
  expect(safeNext(next)).toBe("/");
});

test("an address of this site is kept", () => {
  expect(safeNext("/chat/42?x=1")).toBe("/chat/42?x=1");
});

test("the administration is another app", () => {
  expect([isOtherApp("/admin"), isOtherApp("/admin/tasks"), isOtherApp("/administer")]).toEqual([true, true, false]);
});
