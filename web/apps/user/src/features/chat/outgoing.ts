/** Messages on their way to the server: shown at once, with the key that makes every retry the same message. */
import { newIdempotencyKey } from "@ai-orchestra/api/idempotency";
import { create } from "zustand";

export interface Outgoing {
  key: string;
  content: string;
  createdAt: string;
  /** Why it could not be sent; undefined while it is being sent. */
  error: unknown;
}

interface OutgoingState {
  byConversation: Record<string, Outgoing>;
}

export const useOutgoing = create<OutgoingState>(() => ({ byConversation: {} }));

export function newOutgoing(content: string): Outgoing {
  return { key: newIdempotencyKey(), content, createdAt: new Date().toISOString(), error: undefined };
}

export function setOutgoing(conversation: string, message: Outgoing): void {
  useOutgoing.setState(({ byConversation }) => ({ byConversation: { ...byConversation, [conversation]: message } }));
}

export function dropOutgoing(conversation: string): void {
  useOutgoing.setState(({ byConversation: { [conversation]: _sent, ...byConversation } }) => ({ byConversation }));
}
