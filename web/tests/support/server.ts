/** A real HTTP server for tests of the client: it answers as told, and the client's relative URLs lead to it. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { vi } from "vitest";

export type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void;

export interface TestServer {
  requests: IncomingMessage[];
  answerWith: (answer: Answer) => void;
  close: () => void;
}

export async function startServer(answer: Answer): Promise<TestServer> {
  const requests: IncomingMessage[] = [];
  let current = answer;
  const server: Server = createServer((request, response) => {
    requests.push(request);
    current(request, response, requests.length);
  });
  await new Promise<void>((listening) => {
    server.listen(0, "127.0.0.1", listening);
  });
  const { port } = server.address() as AddressInfo;
  const { fetch } = globalThis;
  vi.stubGlobal("fetch", (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${String(port)}${path}`, init));
  return {
    requests,
    answerWith: (next) => {
      current = next;
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
