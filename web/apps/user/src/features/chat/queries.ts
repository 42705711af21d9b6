/** What the chat reads, and how its caches are addressed. */
import { cachedQuery } from "@ai-orchestra/api/cache/cached-query";
import { listConversations, listMessages, readConversation } from "@ai-orchestra/api/endpoints/chat";
import { listModels } from "@ai-orchestra/api/endpoints/providers";
import type { Message, Page } from "@ai-orchestra/api/schema";
import { infiniteQueryOptions, keepPreviousData, queryOptions, type InfiniteData } from "@tanstack/react-query";

const RECENT = 6;

export const recentConversationsQuery = () =>
  queryOptions({
    queryKey: ["conversations", "recent"],
    queryFn: ({ client, queryKey }) =>
      cachedQuery(client, queryKey, async () => (await listConversations({ limit: RECENT })).items.slice(0, RECENT)),
  });

export const conversationsQuery = (search: string) =>
  infiniteQueryOptions({
    queryKey: ["conversations", "list", search],
    queryFn: ({ pageParam }) => listConversations({ search, cursor: pageParam }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });

export const conversationQuery = (id: string) =>
  queryOptions({ queryKey: ["conversation", id], queryFn: () => readConversation(id) });

export type MessagePages = InfiniteData<Page<Message>>;

export const messagesKey = (conversation: string) => ["messages", conversation] as const;

/** Page 0 is the newest; within a page the newest message is the last. */
export const messagesQuery = (conversation: string) =>
  infiniteQueryOptions({
    queryKey: messagesKey(conversation),
    queryFn: ({ pageParam }) => listMessages(conversation, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (oldest) => oldest.next_cursor ?? undefined,
  });

export const modelsQuery = () =>
  queryOptions({ queryKey: ["models"], queryFn: async () => (await listModels()).items, staleTime: 60_000 });
