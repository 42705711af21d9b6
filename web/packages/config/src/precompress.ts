/** Compresses what was built, once and well, so that the server only picks the encoding a browser takes. */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

/** A smaller file fits one packet anyway. */
const SMALLEST_BYTES = 1_024;

export function precompress(): Plugin {
  let directory = "dist";
  return {
    name: "precompress",
    apply: "build",
    configResolved(config) {
      directory = join(config.root, config.build.outDir);
    },
    closeBundle() {
      for (const name of globSync("**/*.{js,css,html,svg}", { cwd: directory })) {
        const file = join(directory, name);
        const content = readFileSync(file);
        if (content.length < SMALLEST_BYTES) continue;
        writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
        writeFileSync(`${file}.br`, brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
      }
    },
  };
}
