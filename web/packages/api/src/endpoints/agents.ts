import { request } from "../rest.ts";
import type { Agent, Enrolment, Page } from "../schema.ts";

export const listAgents = (filter: { status?: string; capability?: string } = {}) =>
  request<Page<Agent>>("GET", "/api/agents", { query: { ...filter, limit: 200 } });
export const enrolAgent = (name?: string) =>
  request<Enrolment>("POST", "/api/agents/enrolments", { body: name ? { name } : {} });
export const forgetAgent = (id: string) => request<undefined>("DELETE", `/api/agents/${id}`);
