import type { Message } from "@ai-orchestra/api/schema";
import { Button, IconButton } from "@ai-orchestra/ui/button";
import { classNames } from "@ai-orchestra/ui/class-names.ts";
import { ArrowDownIcon } from "@ai-orchestra/ui/icons";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { Skeleton } from "@ai-orchestra/ui/skeleton";
import { Trans, useLingui } from "@lingui/react/macro";
import type { UseInfiniteQueryResult } from "@tanstack/react-query";
import { AnswerMessage } from "./answer-message.tsx";
import { useOutgoing } from "./outgoing.ts";
import { OutgoingMessage } from "./outgoing-message.tsx";
import { useStickToEnd } from "./use-stick-to-end.ts";
import type { ConversationActions } from "./use-conversation.ts";
import { UserMessage } from "./user-message.tsx";

export interface ThreadProps {
  conversation: string;
  messages: readonly Message[];
  query: Pick<UseInfiniteQueryResult, "isPending" | "error" | "refetch" | "hasNextPage" | "fetchNextPage">;
  actions: ConversationActions;
}

export function Thread({ conversation, messages, query, actions }: ThreadProps) {
  const { t } = useLingui();
  const outgoing = useOutgoing((state) => state.byConversation[conversation]);
  const { scroller, content, atEnd, toEnd } = useStickToEnd(outgoing?.key);
  const last = messages.at(-1);
  return (
    <div className="relative min-h-0 flex-1">
      <div ref={scroller} className="relative h-full overflow-y-auto overscroll-contain [overflow-anchor:none]">
        <div ref={content} className="mx-auto flex max-w-3xl flex-col gap-8 px-4 pt-6 pb-10 md:px-6">
          {query.hasNextPage ? (
            <Button variant="ghost" size="sm" className="self-center" onClick={() => query.fetchNextPage()}>
              <Trans>Show earlier messages</Trans>
            </Button>
          ) : null}
          {query.isPending && !outgoing ? <ThreadSkeleton /> : null}
          {query.error && messages.length === 0 ? <ThreadError error={query.error} onRetry={() => query.refetch()} /> : null}
          {messages.map((message) =>
            message.role === "user" ? (
              <UserMessage key={message.id} message={message} onEdit={actions.edit} />
            ) : (
              <AnswerMessage key={message.id} message={message} isLast={message === last} onRegenerate={actions.regenerate} />
            ),
          )}
          {outgoing ? <OutgoingMessage conversation={conversation} message={outgoing} onResend={actions.resend} /> : null}
        </div>
      </div>
      <IconButton
        variant="outline"
        label={t`Jump to the newest`}
        onClick={toEnd}
        className={classNames("absolute! bottom-4 left-1/2 -ml-5 rounded-full! shadow-float", atEnd && "invisible opacity-0")}
      >
        <ArrowDownIcon className="size-[1.125rem]" />
      </IconButton>
    </div>
  );
}

function ThreadSkeleton() {
  return (
    <>
      <Skeleton className="h-11 w-3/5 self-end rounded-3xl" />
      <div className="flex flex-col gap-3">
        <Skeleton className="h-4 w-11/12" />
        <Skeleton className="h-4 w-full" />
        <Skeleton className="h-4 w-2/3" />
      </div>
    </>
  );
}

function ThreadError({ error, onRetry }: { error: unknown; onRetry: () => Promise<unknown> }) {
  return (
    <div className="flex flex-col items-center gap-4 py-16 text-center text-sm text-ink-soft">
      {problemText(error)}
      <Button variant="outline" size="sm" onClick={onRetry}>
        <Trans>Try again</Trans>
      </Button>
    </div>
  );
}
