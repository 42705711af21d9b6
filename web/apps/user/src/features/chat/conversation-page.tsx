import { patchConversation } from "@ai-orchestra/api/endpoints/chat";
import { ApiError } from "@ai-orchestra/api/problem";
import { buttonClass } from "@ai-orchestra/ui/button";
import { EmptyState } from "@ai-orchestra/ui/empty-state";
import { SearchIcon } from "@ai-orchestra/ui/icons";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { toast } from "@ai-orchestra/ui/toast";
import { useTitle } from "@ai-orchestra/ui/use-title.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { ChatHeader } from "./chat-header.tsx";
import { Composer } from "./composer.tsx";
import { flatten } from "./message-pages.ts";
import { ModelPicker } from "./model-picker.tsx";
import { conversationQuery, messagesQuery } from "./queries.ts";
import { Thread } from "./thread.tsx";
import { useConversationActions } from "./use-conversation.ts";

const route = getRouteApi("/signed-in/chat/$id");

export function ConversationPage() {
  const { id } = route.useParams();
  return <Conversation key={id} id={id} />;
}

function Conversation({ id }: { id: string }) {
  const { t } = useLingui();
  const conversation = useQuery(conversationQuery(id));
  const query = useInfiniteQuery(messagesQuery(id));
  const messages = useMemo(() => flatten(query.data), [query.data]);
  const actions = useConversationActions(id);
  const chooseModel = useChooseModel(id);
  const title = conversation.data?.title ?? t`New session`;
  useTitle(title);

  const streaming = messages.findLast((message) => message.state === "streaming");
  if (isGone(conversation.error)) return <Gone />;
  return (
    <div className="flex h-dvh flex-col md:h-full">
      <ChatHeader title={title} />
      <Thread conversation={id} messages={messages} query={query} actions={actions} />
      <Composer
        conversation={id}
        autoFocus={matchMedia("(pointer: fine)").matches}
        onSend={async (content) => {
          void actions.send(content);
          return Promise.resolve(true);
        }}
        onStop={streaming ? () => actions.stop(streaming) : undefined}
        tools={<ModelPicker chosen={conversation.data?.model ?? undefined} onChoose={chooseModel} />}
      />
    </div>
  );
}

function isGone(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 404 || error.status === 422 || error.status === 400);
}

function useChooseModel(id: string): (model: string) => void {
  const client = useQueryClient();
  return (model) => {
    patchConversation(id, { model })
      .then((conversation) => client.setQueryData(conversationQuery(id).queryKey, conversation))
      .catch((error: unknown) => {
        toast.error(problemText(error));
      });
  };
}

function Gone() {
  const { t } = useLingui();
  return (
    <div className="flex h-full min-h-[60dvh] items-center justify-center">
      <EmptyState
        icon={<SearchIcon className="size-6" />}
        title={t`This session does not exist`}
        description={t`It may have been deleted, or it belongs to somebody else.`}
        action={
          <Link to="/chat" className={buttonClass("outline")}>
            <Trans>All sessions</Trans>
          </Link>
        }
      />
    </div>
  );
}
