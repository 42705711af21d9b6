/** What can be done in a conversation: send, try again, edit, regenerate, stop. */
import * as api from "@ai-orchestra/api/endpoints/chat";
import { newIdempotencyKey } from "@ai-orchestra/api/idempotency";
import type { Message } from "@ai-orchestra/api/schema";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { toast } from "@ai-orchestra/ui/toast";
import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { appended, cutFrom } from "./message-pages.ts";
import { dropOutgoing, newOutgoing, setOutgoing, type Outgoing } from "./outgoing.ts";
import { messagesKey, type MessagePages } from "./queries.ts";

export interface ConversationActions {
  send: (content: string) => Promise<void>;
  resend: (message: Outgoing) => Promise<void>;
  edit: (message: Message, content: string) => Promise<boolean>;
  regenerate: (message: Message) => Promise<void>;
  stop: (message: Message) => Promise<void>;
}

export function useConversationActions(conversation: string): ConversationActions {
  const client = useQueryClient();
  return useMemo(() => actionsOf(client, conversation), [client, conversation]);
}

export async function deliver(client: QueryClient, conversation: string, message: Outgoing): Promise<void> {
  setOutgoing(conversation, { ...message, error: undefined });
  try {
    const turn = await api.sendMessage(conversation, message.content, message.key);
    update(client, conversation, (pages) => appended(pages, [turn.user_message, turn.assistant_message]));
    dropOutgoing(conversation);
    void client.invalidateQueries({ queryKey: ["conversations"] });
    // The first message gives the conversation its title.
    void client.invalidateQueries({ queryKey: ["conversation", conversation] });
  } catch (error) {
    setOutgoing(conversation, { ...message, error });
  }
}

function actionsOf(client: QueryClient, conversation: string): ConversationActions {
  return {
    send: (content) => deliver(client, conversation, newOutgoing(content)),
    resend: (message) => deliver(client, conversation, message),
    edit: (message, content) =>
      attempt(async () => {
        const turn = await api.editMessage(conversation, message.id, content, newIdempotencyKey());
        update(client, conversation, (pages) =>
          appended(cutFrom(pages, message.id), [turn.user_message, turn.assistant_message]),
        );
      }),
    regenerate: async (message) => {
      await attempt(async () => {
        const { assistant_message } = await api.regenerate(conversation, message.id, newIdempotencyKey());
        update(client, conversation, (pages) => appended(cutFrom(pages, message.id), [assistant_message]));
      });
    },
    stop: async (message) => {
      await attempt(() => api.stopAnswer(conversation, message.id));
    },
  };
}

function update(client: QueryClient, conversation: string, change: (pages: MessagePages | undefined) => MessagePages | undefined) {
  void client.cancelQueries({ queryKey: messagesKey(conversation) });
  client.setQueryData<MessagePages>(messagesKey(conversation), change);
}

/** Says what went wrong; true when nothing did. */
async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    toast.error(problemText(error));
    return false;
  }
}
