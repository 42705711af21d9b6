/** The one Vite configuration of both apps; an app says only where it is served. */
import { lingui, linguiTransformerBabelPreset } from "@lingui/vite-plugin";
import babel from "@rolldown/plugin-babel";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import type { UserConfig } from "vite";
import { themeScript } from "./theme-script.ts";

const API = process.env.ORCHESTRA_API ?? "http://localhost:8080";

export function appConfig(app: { base: string }): UserConfig {
  return {
    base: app.base,
    plugins: [
      babel({ presets: [linguiTransformerBabelPreset()] }),
      react(),
      lingui(),
      tailwindcss(),
      themeScript(),
    ],
    build: {
      target: "es2022",
      // Nothing becomes a data: URL, so that every file is cached by its hash.
      assetsInlineLimit: 0,
      manifest: true,
      modulePreload: { polyfill: false },
    },
    server: { proxy: { "/api": API, "/v1": API } },
  };
}
