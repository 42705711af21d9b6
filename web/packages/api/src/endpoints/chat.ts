import { request } from "../rest.ts";
import type { Conversation, Message, Page, Turn } from "../schema.ts";

const at = (conversation: string, message?: string) =>
  `/api/conversations/${conversation}` + (message === undefined ? "" : `/messages/${message}`);

export const listConversations = (query: { search?: string; cursor?: string | undefined; limit?: number } = {}) =>
  request<Page<Conversation>>("GET", "/api/conversations", { query: { limit: 50, ...query } });
export const createConversation = (conversation: { title?: string; model?: string }, idempotencyKey: string) =>
  request<Conversation>("POST", "/api/conversations", { body: conversation, idempotencyKey });
export const readConversation = (id: string) => request<Conversation>("GET", at(id));
export const patchConversation = (id: string, patch: { title?: string; model?: string }) =>
  request<Conversation>("PATCH", at(id), { body: patch });
export const deleteConversation = (id: string) => request<undefined>("DELETE", at(id));

export const listMessages = (conversation: string, cursor?: string) =>
  request<Page<Message>>("GET", `${at(conversation)}/messages`, { query: { cursor, limit: 50 } });
export const sendMessage = (conversation: string, content: string, idempotencyKey: string) =>
  request<Turn>("POST", `${at(conversation)}/messages`, { body: { content }, idempotencyKey });
export const editMessage = (conversation: string, message: string, content: string, idempotencyKey: string) =>
  request<Turn>("PUT", at(conversation, message), { body: { content }, idempotencyKey });
export const regenerate = (conversation: string, message: string, idempotencyKey: string) =>
  request<{ assistant_message: Message }>("POST", `${at(conversation, message)}/regenerate`, { body: {}, idempotencyKey });
export const stopAnswer = (conversation: string, message: string) =>
  request<unknown>("POST", `${at(conversation, message)}/stop`, { body: {} });
