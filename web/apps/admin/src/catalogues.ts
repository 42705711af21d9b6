import type { Catalogues } from "@ai-orchestra/ui/locale.ts";

export const catalogues: Catalogues = {
  en: () => import("./locales/en.po"),
  "zh-CN": () => import("./locales/zh-CN.po"),
};
