/** The one Vite configuration of both apps; an app says only where it is served. */
import { lingui } from "@lingui/vite-plugin";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import type { UserConfig } from "vite";
import { precompress } from "./precompress.ts";
import { themeScript } from "./theme-script.ts";

const API = process.env.ORCHESTRA_API ?? "http://localhost:8080";

/**
 * Few files for the first page instead of one for every icon; what the door does not need (Markdown, the
 * highlighter) stays apart and is loaded with the pages that use it. A group takes what its modules import along, so
 * the order matters: the foundations come first.
 */
const CHUNKS = [
  { name: "vendor", test: /node_modules\/(react|react-dom|scheduler|zustand|use-sync-external-store|@tanstack|@lingui)\// },
  { name: "ui", test: /packages\/ui\/src\/(?!(preferences-menu|menu|dialog|confirm-dialog|tabs|meter)\.tsx)|node_modules\/lucide-react\// },
  { name: "api", test: /packages\/api\/src\/(rest|retry|problem|session|stores\/user|endpoints\/identity)\.ts/ },
  { name: "panels", test: /packages\/ui\/src\// },
];

export function appConfig(app: { base: string }): UserConfig {
  return {
    base: app.base,
    plugins: [lingui({ macroTransform: true }), react(), tailwindcss(), themeScript(), precompress()],
    build: {
      target: "es2022",
      // Nothing becomes a data: URL, so that every file is cached by its hash.
      assetsInlineLimit: 0,
      manifest: true,
      modulePreload: { polyfill: false },
      rolldownOptions: { output: { codeSplitting: { groups: CHUNKS } } },
    },
    server: { proxy: { "/api": API, "/v1": API } },
  };
}
