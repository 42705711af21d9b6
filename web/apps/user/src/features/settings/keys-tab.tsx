import { listKeys, revokeKey } from "@ai-orchestra/api/endpoints/identity";
import type { ApiKey } from "@ai-orchestra/api/schema";
import { Button } from "@ai-orchestra/ui/button";
import { Card, CardBody, CardHeader } from "@ai-orchestra/ui/card";
import { ConfirmDialog } from "@ai-orchestra/ui/confirm-dialog";
import { EmptyState } from "@ai-orchestra/ui/empty-state";
import { formatDateTime, formatRelative } from "@ai-orchestra/ui/format.ts";
import { KeyRoundIcon, PlusIcon } from "@ai-orchestra/ui/icons";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { SkeletonRows } from "@ai-orchestra/ui/skeleton";
import { toast } from "@ai-orchestra/ui/toast";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { NewKeyDialog } from "./new-key-dialog.tsx";

export function KeysTab() {
  const { t } = useLingui();
  const [creating, setCreating] = useState(false);
  const { data, error } = useQuery({ queryKey: ["keys"], queryFn: async () => (await listKeys()).items });
  return (
    <Card>
      <CardHeader
        title={t`API keys`}
        description={t`For programs that act for you. Give each program a key of its own.`}
        action={
          <Button
            size="sm"
            icon={<PlusIcon className="size-4" />}
            onClick={() => {
              setCreating(true);
            }}
          >
            <Trans>New key</Trans>
          </Button>
        }
      />
      <CardBody>
        {error ? <p className="text-sm text-ink-soft">{problemText(error)}</p> : null}
        {!data && !error ? <SkeletonRows rows={2} /> : null}
        {data?.length === 0 ? <EmptyState icon={<KeyRoundIcon className="size-6" />} title={t`No keys yet`} /> : null}
        <ul className="flex flex-col divide-y divide-line">{data?.map((key) => <Row key={key.id} apiKey={key} />)}</ul>
      </CardBody>
      <NewKeyDialog
        open={creating}
        onClose={() => {
          setCreating(false);
        }}
      />
    </Card>
  );
}

function Row({ apiKey }: { apiKey: ApiKey }) {
  const { t } = useLingui();
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const revoke = async () => {
    try {
      await revokeKey(apiKey.id);
      await client.invalidateQueries({ queryKey: ["keys"] });
      setAsking(false);
    } catch (error) {
      toast.error(problemText(error));
    }
  };
  const used = apiKey.last_used_at ? t`Used ${formatRelative(apiKey.last_used_at)}` : t`Never used`;
  const expires = apiKey.expires_at ? t`until ${formatDateTime(apiKey.expires_at)}` : undefined;
  return (
    <li className="flex items-center gap-4 py-3 first:pt-0 last:pb-0">
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-baseline gap-x-3 text-sm font-medium">
          {apiKey.name}
          <code className="font-mono text-xs font-normal text-ink-faint">{apiKey.prefix}…</code>
        </p>
        <p className="text-[0.8125rem] text-ink-faint">{[used, expires].filter(Boolean).join(" · ")}</p>
      </div>
      <Button
        variant="outline"
        size="sm"
        onClick={() => {
          setAsking(true);
        }}
      >
        <Trans>Revoke</Trans>
      </Button>
      <ConfirmDialog
        open={asking}
        onClose={() => {
          setAsking(false);
        }}
        onConfirm={revoke}
        title={t`Revoke “${apiKey.name}”?`}
        description={t`Programs that use this key stop working at once.`}
        confirmLabel={t`Revoke`}
        cancelLabel={t`Cancel`}
      />
    </li>
  );
}
