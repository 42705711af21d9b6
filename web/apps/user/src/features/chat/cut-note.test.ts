import { i18n, type Messages } from "@lingui/core";
import { I18nProvider } from "@lingui/react";
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { beforeAll, expect, test } from "vitest";
import { catalogues } from "../../catalogues.ts";
import { CutNote } from "./cut-note.tsx";

const loaded: Record<string, Messages> = {};

beforeAll(async () => {
  loaded["en"] = (await catalogues.en()).messages;
  loaded["zh-CN"] = (await catalogues["zh-CN"]()).messages;
});

function shown(locale: string, reason: string | null): string {
  i18n.loadAndActivate({ locale, messages: loaded[locale] ?? {} });
  return renderToStaticMarkup(createElement(I18nProvider, { i18n, children: createElement(CutNote, { reason }) }));
}

test("an answer that was cut says so, in both languages", () => {
  expect(shown("en", "length")).toContain("The answer was cut: the model had no more room.");
  expect(shown("zh-CN", "length")).toContain("回答被截断");
});

test.each(["stop", "", null])("an answer that ended with %j has no note", (reason) => {
  expect(shown("en", reason)).toBe("");
});
