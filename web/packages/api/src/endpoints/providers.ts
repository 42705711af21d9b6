import { request } from "../rest.ts";
import type { Model, Page, Provider, ProviderKind, ProviderTest } from "../schema.ts";

export interface NewProvider {
  name: string;
  kind: ProviderKind;
  base_url?: string;
  api_key?: string;
  enabled?: boolean;
}

/** The server talks to the provider meanwhile, which may be slow; it gives up by itself before this. */
const TEST_TIMEOUT_MS = 30_000;

export const listProviders = () => request<Page<Provider>>("GET", "/api/providers");
export const createProvider = (provider: NewProvider) => request<Provider>("POST", "/api/providers", { body: provider });
export const patchProvider = (id: string, patch: Partial<NewProvider>) =>
  request<Provider>("PATCH", `/api/providers/${id}`, { body: patch });
export const deleteProvider = (id: string) => request<undefined>("DELETE", `/api/providers/${id}`);
export const testProvider = (id: string) =>
  request<ProviderTest>("POST", `/api/providers/${id}/test`, { body: {}, timeoutMs: TEST_TIMEOUT_MS });

export const listModels = () => request<Page<Model>>("GET", "/api/models");
export const chooseDefaultModel = (id: string) => request<unknown>("PUT", "/api/models/default", { body: { id } });
