import type { Conversation } from "@ai-orchestra/api/schema";
import { useMay } from "@ai-orchestra/api/stores/user";
import { Card, CardHeader } from "@ai-orchestra/ui/card";
import { EmptyState } from "@ai-orchestra/ui/empty-state";
import { formatRelative } from "@ai-orchestra/ui/format.ts";
import { ChevronRightIcon, MessageCircleIcon } from "@ai-orchestra/ui/icons";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { SkeletonRows } from "@ai-orchestra/ui/skeleton";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { recentConversationsQuery } from "../chat/queries.ts";

export function RecentSessions() {
  const { t } = useLingui();
  const mayChat = useMay("chat:use");
  const { data, error } = useQuery({ ...recentConversationsQuery(), enabled: mayChat });
  return (
    <Card>
      <CardHeader
        title={t`Recent sessions`}
        action={
          <Link to="/chat" className="rounded text-sm font-medium text-accent-text hover:underline">
            <Trans>See all</Trans>
          </Link>
        }
      />
      <div className="px-2 pb-3 sm:px-3">
        {error ? <p className="px-3 pb-4 text-sm text-ink-soft">{problemText(error)}</p> : null}
        {!data && !error && mayChat ? (
          <div className="px-3 pb-3">
            <SkeletonRows rows={4} className="h-13" />
          </div>
        ) : null}
        {data?.length === 0 || !mayChat ? (
          <EmptyState
            icon={<MessageCircleIcon className="size-6" />}
            title={t`No sessions yet`}
            description={t`Start one, and it will be here whenever you come back, on every device.`}
          />
        ) : null}
        <ul>{data?.map((conversation) => <Row key={conversation.id} conversation={conversation} />)}</ul>
      </div>
    </Card>
  );
}

function Row({ conversation }: { conversation: Conversation }) {
  const { t } = useLingui();
  return (
    <li>
      <Link to="/chat/$id" params={{ id: conversation.id }} className="pressable group flex items-center gap-4 rounded-xl px-3 py-3 hover:bg-hover">
        <span className="flex size-9 shrink-0 items-center justify-center rounded-xl bg-accent-soft text-accent-text">
          <MessageCircleIcon className="size-[1.125rem]" />
        </span>
        <span className="min-w-0 flex-1">
          <span className="block truncate text-sm font-medium">{conversation.title ?? t`New session`}</span>
          <span className="block truncate text-[0.8125rem] text-ink-faint">{conversation.last_message_preview}</span>
        </span>
        <span className="shrink-0 text-xs text-ink-faint">{formatRelative(conversation.updated_at)}</span>
        <ChevronRightIcon className="hidden size-4 shrink-0 text-ink-faint transition-transform group-hover:translate-x-0.5 sm:block" />
      </Link>
    </li>
  );
}
