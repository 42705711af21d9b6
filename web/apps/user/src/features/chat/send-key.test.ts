import { expect, test } from "vitest";
import { isSendKey } from "./send-key.ts";

const press = (changes: Partial<Parameters<typeof isSendKey>[0]> = {}) => ({
  key: "Enter", shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, isComposing: false, keyCode: 13, ...changes,
});

test("Enter sends, with Ctrl or Cmd too", () => {
  expect(isSendKey(press())).toBe(true);
  expect(isSendKey(press({ ctrlKey: true }))).toBe(true);
});

test("Shift + Enter is a new line", () => {
  expect(isSendKey(press({ shiftKey: true }))).toBe(false);
});

test("Enter while composing never sends, in Safari's way of telling too", () => {
  expect(isSendKey(press({ isComposing: true }))).toBe(false);
  expect(isSendKey(press({ keyCode: 229 }))).toBe(false);
});

test("other keys do not send", () => {
  expect(isSendKey(press({ key: "a", keyCode: 65 }))).toBe(false);
});
