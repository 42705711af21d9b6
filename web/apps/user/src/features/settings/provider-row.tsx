import { deleteProvider, patchProvider, testProvider } from "@ai-orchestra/api/endpoints/providers";
import type { Provider, ProviderTest } from "@ai-orchestra/api/schema";
import { Badge } from "@ai-orchestra/ui/badge";
import { Button, IconButton } from "@ai-orchestra/ui/button";
import { ConfirmDialog } from "@ai-orchestra/ui/confirm-dialog";
import { formatNumber } from "@ai-orchestra/ui/format.ts";
import { EllipsisIcon } from "@ai-orchestra/ui/icons";
import { Menu, MenuItem } from "@ai-orchestra/ui/menu";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { toast } from "@ai-orchestra/ui/toast";
import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

export function ProviderRow({ provider }: { provider: Provider }) {
  const { t } = useLingui();
  const [result, setResult] = useState<ProviderTest>();
  const [deleting, setDeleting] = useState(false);
  const change = useChange();
  const test = async () => {
    setResult(undefined);
    await change(async () => {
      setResult(await testProvider(provider.id));
    });
  };
  return (
    <li className="flex flex-col gap-3 py-4 first:pt-0 last:pb-0">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-3">
        <div className="min-w-0 flex-1 basis-56">
          <p className="flex flex-wrap items-center gap-2 text-sm font-medium">
            {provider.name}
            {provider.is_local ? <Badge tone="violet">{t`On this machine`}</Badge> : null}
            {provider.enabled ? null : <Badge>{t`Off`}</Badge>}
          </p>
          <p className="truncate text-[0.8125rem] text-ink-faint">
            {[provider.base_url, provider.key_last4 ? t`Key ends in ${provider.key_last4}` : undefined].filter(Boolean).join(" · ")}
          </p>
        </div>
        <Button variant="outline" size="sm" onClick={test}>
          <Trans>Test the connection</Trans>
        </Button>
        <Menu
          trigger={
            <IconButton size="sm" label={t`Options of “${provider.name}”`}>
              <EllipsisIcon className="size-4" />
            </IconButton>
          }
        >
          <MenuItem onSelect={() => void change(() => patchProvider(provider.id, { enabled: !provider.enabled }))}>
            {provider.enabled ? t`Switch off` : t`Switch on`}
          </MenuItem>
          <MenuItem
            danger
            onSelect={() => {
              setDeleting(true);
            }}
          >
            {t`Delete`}
          </MenuItem>
        </Menu>
      </div>
      {result ? <TestResult result={result} /> : null}
      <ConfirmDialog
        open={deleting}
        onClose={() => {
          setDeleting(false);
        }}
        onConfirm={() => change(() => deleteProvider(provider.id))}
        title={t`Delete “${provider.name}”?`}
        description={t`Its models can no longer be used, and its key is erased.`}
        confirmLabel={t`Delete`}
        cancelLabel={t`Cancel`}
      />
    </li>
  );
}

function TestResult({ result }: { result: ProviderTest }) {
  if (!result.ok) {
    return (
      <p role="status" className="rounded-xl bg-error-soft px-3.5 py-2 text-[0.8125rem] wrap-anywhere text-error-text">
        <Trans>It does not answer as it should.</Trans> {result.error}
      </p>
    );
  }
  const latency = formatNumber(Math.round(result.latency_ms));
  return (
    <p role="status" className="rounded-xl bg-success-soft px-3.5 py-2 text-[0.8125rem] text-success-text">
      <Trans>It answers, in {latency} ms.</Trans> <Plural value={result.models.length} one="# model" other="# models" />
    </p>
  );
}

function useChange(): (work: () => Promise<unknown>) => Promise<void> {
  const client = useQueryClient();
  return async (work) => {
    try {
      await work();
      await Promise.all([client.invalidateQueries({ queryKey: ["providers"] }), client.invalidateQueries({ queryKey: ["models"] })]);
    } catch (error) {
      toast.error(problemText(error));
    }
  };
}
