import { listProviders } from "@ai-orchestra/api/endpoints/providers";
import { useMay } from "@ai-orchestra/api/stores/user";
import { Button } from "@ai-orchestra/ui/button";
import { Card, CardBody, CardHeader } from "@ai-orchestra/ui/card";
import { EmptyState } from "@ai-orchestra/ui/empty-state";
import { PlusIcon, SparklesIcon } from "@ai-orchestra/ui/icons";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { SkeletonRows } from "@ai-orchestra/ui/skeleton";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { DefaultModelCard } from "./default-model-card.tsx";
import { NewProviderDialog } from "./new-provider-dialog.tsx";
import { ProviderRow } from "./provider-row.tsx";

export function AiTab() {
  const mayProviders = useMay("providers:manage");
  return (
    <div className="flex flex-col gap-6">
      <DefaultModelCard mayChoose={mayProviders} />
      {mayProviders ? <Providers /> : null}
    </div>
  );
}

function Providers() {
  const { t } = useLingui();
  const [adding, setAdding] = useState(false);
  const { data, error } = useQuery({ queryKey: ["providers"], queryFn: async () => (await listProviders()).items });
  return (
    <Card>
      <CardHeader
        title={t`Providers`}
        description={t`Their keys stay on the server; agents never see them.`}
        action={
          <Button
            size="sm"
            icon={<PlusIcon className="size-4" />}
            onClick={() => {
              setAdding(true);
            }}
          >
            <Trans>Add a provider</Trans>
          </Button>
        }
      />
      <CardBody>
        {error ? <p className="text-sm text-ink-soft">{problemText(error)}</p> : null}
        {!data && !error ? <SkeletonRows rows={2} /> : null}
        {data?.length === 0 ? (
          <EmptyState icon={<SparklesIcon className="size-6" />} title={t`No provider yet`} description={t`Add one to let agents use its models.`} />
        ) : null}
        <ul className="flex flex-col divide-y divide-line">{data?.map((provider) => <ProviderRow key={provider.id} provider={provider} />)}</ul>
      </CardBody>
      <NewProviderDialog
        open={adding}
        onClose={() => {
          setAdding(false);
        }}
      />
    </Card>
  );
}
