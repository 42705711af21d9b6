/** Changes to the cached messages of a conversation, as pure functions on its pages. */
import type { Message } from "@ai-orchestra/api/schema";
import type { MessagePages } from "./queries.ts";

/** Oldest first, each message once. */
export function flatten(pages: MessagePages | undefined): Message[] {
  const seen = new Map<string, Message>();
  for (const page of [...(pages?.pages ?? [])].reverse()) {
    for (const message of page.items) seen.set(message.id, message);
  }
  return [...seen.values()];
}

export function appended(pages: MessagePages | undefined, added: readonly Message[]): MessagePages | undefined {
  if (!pages) return { pages: [{ items: [...added], next_cursor: null }], pageParams: [undefined] };
  const ids = new Set(added.map((message) => message.id));
  const kept = mapPages(pages, (items) => items.filter((message) => !ids.has(message.id)));
  return onNewest(kept, (items) => [...items, ...added]);
}

/** Drops `from` and everything after it, which an edit or a regeneration supersedes. */
export function cutFrom(pages: MessagePages | undefined, from: string): MessagePages | undefined {
  if (!pages) return pages;
  const order = flatten(pages);
  const at = order.findIndex((message) => message.id === from);
  if (at < 0) return pages;
  const dropped = new Set(order.slice(at).map((message) => message.id));
  return mapPages(pages, (items) => items.filter((message) => !dropped.has(message.id)));
}

export function patched(pages: MessagePages | undefined, id: string, patch: Partial<Message>): MessagePages | undefined {
  if (!pages) return pages;
  return mapPages(pages, (items) => items.map((message) => (message.id === id ? { ...message, ...patch } : message)));
}

function mapPages(pages: MessagePages, change: (items: Message[]) => Message[]): MessagePages {
  return { ...pages, pages: pages.pages.map((page) => ({ ...page, items: change(page.items) })) };
}

function onNewest(pages: MessagePages, change: (items: Message[]) => Message[]): MessagePages {
  return { ...pages, pages: pages.pages.map((page, at) => (at === 0 ? { ...page, items: change(page.items) } : page)) };
}
