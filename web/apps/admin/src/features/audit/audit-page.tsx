import { listAudit } from "@ai-orchestra/api/endpoints/identity";
import type { AuditEntry } from "@ai-orchestra/api/schema";
import { Button } from "@ai-orchestra/ui/button";
import { Card } from "@ai-orchestra/ui/card";
import { EmptyState } from "@ai-orchestra/ui/empty-state";
import { formatDateTime } from "@ai-orchestra/ui/format.ts";
import { ScrollTextIcon } from "@ai-orchestra/ui/icons";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { SkeletonRows } from "@ai-orchestra/ui/skeleton";
import { useTitle } from "@ai-orchestra/ui/use-title.ts";
import { Trans, useLingui } from "@lingui/react/macro";
import { useInfiniteQuery } from "@tanstack/react-query";
import { PageHeader } from "../../shell/page-header.tsx";

export function AuditPage() {
  const { t } = useLingui();
  useTitle(t`Audit`);
  const query = useInfiniteQuery({
    queryKey: ["audit"],
    queryFn: ({ pageParam }) => listAudit(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
  const entries = query.data?.pages.flatMap((page) => page.items);
  return (
    <>
      <PageHeader title={t`Audit`} description={t`Who changed what. Entries cannot be altered or removed.`} />
      <Card>
        {query.error && !entries ? <p className="p-6 text-sm text-ink-soft">{problemText(query.error)}</p> : null}
        {query.isPending ? (
          <div className="p-5">
            <SkeletonRows rows={8} />
          </div>
        ) : null}
        {entries?.length === 0 ? <EmptyState icon={<ScrollTextIcon className="size-6" />} title={t`Nothing has been recorded yet`} /> : null}
        <ol className="divide-y divide-line">{entries?.map((entry) => <Entry key={entry.id} entry={entry} />)}</ol>
        {query.hasNextPage ? (
          <div className="flex justify-center border-t border-line p-3">
            <Button variant="ghost" size="sm" onClick={() => query.fetchNextPage()}>
              <Trans>Show older ones</Trans>
            </Button>
          </div>
        ) : null}
      </Card>
    </>
  );
}

function Entry({ entry }: { entry: AuditEntry }) {
  const details = Object.entries(entry.details);
  return (
    <li className="flex flex-wrap items-baseline gap-x-5 gap-y-1 px-5 py-3.5 text-sm">
      <time dateTime={entry.at} className="w-44 shrink-0 text-[0.8125rem] text-ink-faint tabular-nums">
        {formatDateTime(entry.at)}
      </time>
      <div className="min-w-0 flex-1 basis-64">
        <p className="flex flex-wrap gap-x-2">
          <span className="font-medium">{entry.actor.name || entry.actor.kind}</span>
          <code className="font-mono text-[0.8125rem] text-accent-text">{entry.action}</code>
          <span className="truncate text-ink-soft">{`${entry.target.kind} ${entry.target.id}`}</span>
        </p>
        {details.length > 0 ? (
          <p className="mt-0.5 truncate font-mono text-xs text-ink-faint">{details.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join("  ")}</p>
        ) : null}
      </div>
      <span className="text-xs text-ink-faint">{entry.ip}</span>
    </li>
  );
}
