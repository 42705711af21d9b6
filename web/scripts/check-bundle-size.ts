/** Holds every page to its budget: what a browser loads before the page works, gzipped. Run after the build. */
import { existsSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

interface Chunk {
  file: string;
  imports?: string[];
  dynamicImports?: string[];
  css?: string[];
  isDynamicEntry?: boolean;
}

const KB = 1_000;
const LAZY_KB = 80;
const CSS_KB = 25;
const PAGES: { app: string; page: string; limitKb: number; modules: string[] }[] = [
  { app: "user", page: "login", limitKb: 130, modules: ["features/identity/login-page.tsx"] },
  { app: "user", page: "home", limitKb: 170, modules: ["shell/app-shell.tsx", "features/home/home-page.tsx"] },
  {
    app: "user",
    page: "chat",
    limitKb: 230,
    modules: ["shell/app-shell.tsx", "features/chat/chat-layout.tsx", "features/chat/conversation-page.tsx", "features/chat/markdown.tsx"],
  },
  { app: "admin", page: "overview", limitKb: 230, modules: ["features/overview/overview-page.tsx"] },
  { app: "admin", page: "tasks", limitKb: 230, modules: ["features/tasks/tasks-page.tsx"] },
];

const faults: string[] = [];

function check(what: string, bytes: number, limitKb: number) {
  const line = `${what.padEnd(24)} ${(bytes / KB).toFixed(1).padStart(6)} KB of ${String(limitKb)}`;
  console.log(line);
  if (bytes > limitKb * KB) faults.push(line);
}

function readManifest(app: string): Record<string, Chunk> {
  const path = `apps/${app}/dist/.vite/manifest.json`;
  if (!existsSync(path)) throw new Error(`${path} is missing: run "npm run build" first`);
  return JSON.parse(readFileSync(path, "utf8")) as Record<string, Chunk>;
}

function gzipped(app: string, file: string): number {
  return gzipSync(readFileSync(`apps/${app}/dist/${file}`), { level: 6 }).length;
}

/** The modules and everything they import statically. */
function closure(manifest: Record<string, Chunk>, modules: readonly string[]): Set<string> {
  const found = new Set<string>();
  const open = [...modules];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const chunk = manifest[name];
    if (!chunk) throw new Error(`${name} is not in the manifest`);
    if (found.has(name)) continue;
    found.add(name);
    open.push(...(chunk.imports ?? []));
  }
  return found;
}

function files(manifest: Record<string, Chunk>, names: Iterable<string>, kind: "js" | "css"): Set<string> {
  return new Set([...names].flatMap((name) => (kind === "js" ? [manifest[name]?.file ?? ""] : (manifest[name]?.css ?? []))));
}

function total(app: string, names: Set<string>): number {
  return [...names].reduce((sum, file) => sum + gzipped(app, file), 0);
}

for (const { app, page, limitKb, modules } of PAGES) {
  const manifest = readManifest(app);
  const entries = ["index.html", "src/locales/zh-CN.po", ...modules.map((module) => `src/${module}`)];
  const loaded = closure(manifest, entries);
  check(`${app} ${page}`, total(app, files(manifest, loaded, "js")), limitKb);
  check(`${app} ${page} css`, total(app, files(manifest, loaded, "css")), CSS_KB);
}

for (const app of ["user", "admin"]) {
  for (const chunk of Object.values(readManifest(app))) {
    if (chunk.isDynamicEntry && chunk.file.endsWith(".js") && gzipped(app, chunk.file) > LAZY_KB * KB) {
      faults.push(`${chunk.file} is over ${String(LAZY_KB)} KB`);
    }
  }
}

for (const fault of faults) console.error(`over budget: ${fault}`);
process.exit(faults.length > 0 ? 1 : 0);
