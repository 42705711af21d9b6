import type { IncomingMessage, ServerResponse } from "node:http";

export interface Call {
  request: IncomingMessage;
  response: ServerResponse;
  url: URL;
  params: Record<string, string>;
  body: Record<string, unknown>;
}

export async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
}

export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}

export function empty(response: ServerResponse): void {
  response.writeHead(204).end();
}

export function problem(response: ServerResponse, status: number, code: string, detail = code): void {
  response.writeHead(status, { "Content-Type": "application/problem+json" }).end(JSON.stringify({ status, code, detail, title: code }));
}

export function openStream(response: ServerResponse): void {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  response.write(": open\n\n");
}

export function frame(event: string, data: unknown, id?: string): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
