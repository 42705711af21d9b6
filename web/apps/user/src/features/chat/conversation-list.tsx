import type { Conversation } from "@ai-orchestra/api/schema";
import { Button, buttonClass } from "@ai-orchestra/ui/button";
import { EmptyState } from "@ai-orchestra/ui/empty-state";
import { MessageCircleIcon, SearchIcon, SquarePenIcon } from "@ai-orchestra/ui/icons";
import { Input } from "@ai-orchestra/ui/input";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { SkeletonRows } from "@ai-orchestra/ui/skeleton";
import { Trans, useLingui } from "@lingui/react/macro";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useDeferredValue, useState } from "react";
import { ConversationItem } from "./conversation-item.tsx";
import { groupByDay } from "./group-by-day.ts";
import { conversationsQuery } from "./queries.ts";

export function ConversationList() {
  const { t, i18n } = useLingui();
  const [search, setSearch] = useState("");
  const query = useInfiniteQuery(conversationsQuery(useDeferredValue(search.trim())));
  const conversations = query.data?.pages.flatMap((page) => page.items);
  return (
    <>
      <div className="flex items-end gap-2 p-3 max-md:px-4 max-md:pt-5">
        <Input
          label={t`Search sessions by title`}
          hideLabel
          type="search"
          placeholder={t`Search sessions`}
          value={search}
          onChange={(event) => {
            setSearch(event.target.value);
          }}
          icon={<SearchIcon className="size-4" />}
          className="min-w-0 flex-1"
        />
        <Link to="/chat/new" title={t`New session`} aria-label={t`New session`} className={`${buttonClass("primary")} size-11 shrink-0 px-0! sm:size-10`}>
          <SquarePenIcon className="size-[1.125rem]" />
        </Link>
      </div>
      <nav aria-label={t`Sessions`} className="min-h-0 flex-1 overflow-y-auto px-2 pb-4">
        {query.error && !conversations ? <p className="px-3 py-4 text-sm text-ink-soft">{problemText(query.error)}</p> : null}
        {query.isPending ? <SkeletonRows rows={7} className="mx-2 h-9" /> : null}
        {conversations?.length === 0 ? <Nothing searching={search.trim() !== ""} /> : null}
        {groupByDay(conversations ?? []).map((group) => (
          <Group key={group.label.id} title={i18n._(group.label)} conversations={group.conversations} />
        ))}
        {query.hasNextPage ? (
          <div className="flex justify-center pt-3">
            <Button variant="ghost" size="sm" onClick={() => query.fetchNextPage()}>
              <Trans>Show older ones</Trans>
            </Button>
          </div>
        ) : null}
      </nav>
    </>
  );
}

function Group({ title, conversations }: { title: string; conversations: readonly Conversation[] }) {
  return (
    <section aria-label={title}>
      <h2 className="px-3 pt-4 pb-1.5 text-xs font-medium text-ink-faint">{title}</h2>
      <ul className="flex flex-col gap-0.5">
        {conversations.map((conversation) => (
          <ConversationItem key={conversation.id} conversation={conversation} />
        ))}
      </ul>
    </section>
  );
}

function Nothing({ searching }: { searching: boolean }) {
  const { t } = useLingui();
  return searching ? (
    <p className="px-3 py-8 text-center text-sm text-ink-faint">
      <Trans>No session has this in its title.</Trans>
    </p>
  ) : (
    <EmptyState icon={<MessageCircleIcon className="size-6" />} title={t`No sessions yet`} description={t`What you talk about will be listed here.`} />
  );
}
