import { createConversation } from "@ai-orchestra/api/endpoints/chat";
import { newIdempotencyKey } from "@ai-orchestra/api/idempotency";
import { useMyName } from "@ai-orchestra/api/stores/user";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { toast } from "@ai-orchestra/ui/toast";
import { useTitle } from "@ai-orchestra/ui/use-title.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { ChatHeader } from "./chat-header.tsx";
import { Composer, type ComposerHandle } from "./composer.tsx";
import { ModelPicker } from "./model-picker.tsx";
import { newOutgoing } from "./outgoing.ts";
import { conversationQuery } from "./queries.ts";
import { Suggestions } from "./suggestions.tsx";
import { deliver } from "./use-conversation.ts";

export function NewConversation() {
  const { t } = useLingui();
  useTitle(t`New session`);
  const name = useMyName();
  const [model, setModel] = useState<string>();
  const composer = useRef<ComposerHandle>(null);
  const start = useStart(model);
  return (
    <div className="flex h-dvh flex-col md:h-full">
      <ChatHeader title={t`New session`} phoneOnly />
      <div className="flex min-h-0 flex-1 flex-col items-center justify-center overflow-y-auto px-4 py-8">
        <h1 className="text-center text-2xl font-semibold tracking-tight text-balance md:text-[1.75rem]">
          <Trans>How can I help, {name}?</Trans>
        </h1>
        <Suggestions
          onChoose={(prompt) => {
            composer.current?.fill(prompt);
          }}
        />
      </div>
      <Composer ref={composer} conversation="new" autoFocus onSend={start} tools={<ModelPicker chosen={model} onChoose={setModel} />} />
    </div>
  );
}

/** Makes the conversation, goes to it, and lets the first message follow there. */
function useStart(model: string | undefined): (content: string) => Promise<boolean> {
  const client = useQueryClient();
  const navigate = useNavigate();
  const creation = useRef(newIdempotencyKey());
  return async (content) => {
    try {
      const conversation = await createConversation(model ? { model } : {}, creation.current);
      client.setQueryData(conversationQuery(conversation.id).queryKey, conversation);
      const delivery = deliver(client, conversation.id, newOutgoing(content));
      await navigate({ to: "/chat/$id", params: { id: conversation.id } });
      void delivery;
      return true;
    } catch (error) {
      toast.error(problemText(error));
      return false;
    }
  };
}
