import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { placeBeside, type Place } from "./place-beside.ts";

beforeEach(() => {
  vi.stubGlobal("innerWidth", 400);
  vi.stubGlobal("innerHeight", 600);
});

afterEach(() => {
  vi.unstubAllGlobals();
});

/** A panel of 200 × 150 beside a trigger of 40 × 40. */
function placed(trigger: { left: number; top: number }, place: Place) {
  const panel = { offsetWidth: 200, offsetHeight: 150, style: { top: "", left: "" } };
  const at = { ...trigger, right: trigger.left + 40, bottom: trigger.top + 40 };
  placeBeside(panel as unknown as HTMLElement, { getBoundingClientRect: () => at } as unknown as HTMLElement, place);
  return panel.style;
}

test("below, with the ends in line", () => {
  expect(placed({ left: 300, top: 20 }, { align: "end", side: "bottom" })).toEqual({ top: "66px", left: "140px" });
  expect(placed({ left: 30, top: 20 }, { align: "start", side: "bottom" })).toEqual({ top: "66px", left: "30px" });
});

test("above where there is no room below, and below where there is none above", () => {
  expect(placed({ left: 300, top: 540 }, { align: "end", side: "bottom" }).top).toBe("384px");
  expect(placed({ left: 300, top: 20 }, { align: "end", side: "top" }).top).toBe("66px");
});

test("never outside the window", () => {
  expect(placed({ left: 10, top: 20 }, { align: "end", side: "bottom" }).left).toBe("12px");
  expect(placed({ left: 380, top: 20 }, { align: "start", side: "bottom" }).left).toBe("188px");
});
