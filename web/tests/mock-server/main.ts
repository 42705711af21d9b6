/**
 * A stand-in for the server while pages are made: the contract of docs/openapi.json in memory, and both built apps behind
 * the real content security policy. A test fixture; nothing of it is shipped.
 */
import { createServer } from "node:http";
import { routes } from "./routes.ts";
import { serveApp } from "./static.ts";
import { problem, readJson, type Call } from "./http.ts";
import { startMetrics } from "./live.ts";

const port = Number(process.env.PORT ?? 8080);

const server = createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://localhost");
  if (!url.pathname.startsWith("/api/")) {
    serveApp(url.pathname, response);
    return;
  }
  for (const [method, pattern, answer] of routes) {
    const match = method === request.method ? pattern.exec({ pathname: url.pathname }) : null;
    if (!match) continue;
    const params = match.pathname.groups as Record<string, string>;
    void readJson(request).then((body) => {
      const call: Call = { request, response, url, params, body };
      answer(call);
    });
    return;
  }
  problem(response, 404, "not_found");
});

startMetrics();
server.listen(port, "127.0.0.1", () => {
  const address = server.address();
  console.log(`listening on http://localhost:${String(typeof address === "object" ? address?.port : port)}`);
});
