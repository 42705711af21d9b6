/**
 * The theme must be known before the first paint, and the content security policy forbids inline scripts:
 * this plugin ships the few lines as a hashed file of their own and links it, blocking, at the top of <head>.
 */
import { readFileSync } from "node:fs";
import type { Plugin } from "vite";

const SOURCE = new URL("./theme-script.js", import.meta.url);

export function themeScript(): Plugin {
  let reference: string | undefined;
  let base = "/";
  return {
    name: "theme-script",
    apply: "build",
    configResolved(config) {
      base = config.base;
    },
    buildStart() {
      const source = readFileSync(SOURCE, "utf8");
      reference = this.emitFile({ type: "asset", name: "theme.js", source });
    },
    transformIndexHtml: {
      order: "post",
      handler(_html, context) {
        const files = Object.values(context.bundle ?? {});
        const file = files.find((entry) => entry.type === "asset" && entry.names.includes("theme.js"));
        if (!reference || !file) throw new Error("theme.js is missing from the bundle");
        const src = `${base}${file.fileName}`;
        return [{ tag: "script", attrs: { src }, injectTo: "head-prepend" }];
      },
    },
  };
}
