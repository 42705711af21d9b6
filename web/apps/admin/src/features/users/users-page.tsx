import { listUsers } from "@ai-orchestra/api/endpoints/identity";
import { Button } from "@ai-orchestra/ui/button";
import { Card } from "@ai-orchestra/ui/card";
import { PlusIcon } from "@ai-orchestra/ui/icons";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { SkeletonRows } from "@ai-orchestra/ui/skeleton";
import { useTitle } from "@ai-orchestra/ui/use-title.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { PageHeader } from "../../shell/page-header.tsx";
import { NewUserDialog } from "./new-user-dialog.tsx";
import { UserRow } from "./user-row.tsx";

export function UsersPage() {
  const { t } = useLingui();
  useTitle(t`Users`);
  const [creating, setCreating] = useState(false);
  const query = useInfiniteQuery({
    queryKey: ["users"],
    queryFn: ({ pageParam }) => listUsers(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
  const users = query.data?.pages.flatMap((page) => page.items);
  return (
    <>
      <PageHeader
        title={t`Users`}
        description={t`A change takes effect at once, also in open pages.`}
        action={
          <Button
            icon={<PlusIcon className="size-4" />}
            onClick={() => {
              setCreating(true);
            }}
          >
            <Trans>New user</Trans>
          </Button>
        }
      />
      <Card>
        {query.error && !users ? <p className="p-6 text-sm text-ink-soft">{problemText(query.error)}</p> : null}
        {query.isPending ? (
          <div className="p-5">
            <SkeletonRows rows={5} />
          </div>
        ) : null}
        <ul className="divide-y divide-line">{users?.map((user) => <UserRow key={user.id} user={user} />)}</ul>
        {query.hasNextPage ? (
          <div className="flex justify-center border-t border-line p-3">
            <Button variant="ghost" size="sm" onClick={() => query.fetchNextPage()}>
              <Trans>Show more</Trans>
            </Button>
          </div>
        ) : null}
      </Card>
      <NewUserDialog
        open={creating}
        onClose={() => {
          setCreating(false);
        }}
      />
    </>
  );
}
