import { chooseDefaultModel } from "@ai-orchestra/api/endpoints/providers";
import { Card, CardBody, CardHeader } from "@ai-orchestra/ui/card";
import { Select } from "@ai-orchestra/ui/input";
import { problemText } from "@ai-orchestra/ui/problem-text.ts";
import { Skeleton } from "@ai-orchestra/ui/skeleton";
import { toast } from "@ai-orchestra/ui/toast";
import { useLingui } from "@lingui/react/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { modelsQuery } from "../chat/queries.ts";

export function DefaultModelCard({ mayChoose }: { mayChoose: boolean }) {
  const { t } = useLingui();
  const client = useQueryClient();
  const { data: models } = useQuery(modelsQuery());
  const choose = useMutation({
    mutationFn: chooseDefaultModel,
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["models"] });
      toast.success(t`The default model was changed.`);
    },
    onError: (error) => {
      toast.error(problemText(error));
    },
  });
  return (
    <Card>
      <CardHeader title={t`Default model`} description={t`Answers in new sessions, unless another model is chosen there.`} />
      <CardBody>
        {models ? (
          <Select
            label={t`Default model`}
            hideLabel
            disabled={!mayChoose || choose.isPending || models.length === 0}
            value={models.find((model) => model.is_default)?.id ?? ""}
            onChange={(event) => {
              choose.mutate(event.target.value);
            }}
          >
            {models.some((model) => model.is_default) ? null : <option value="">{t`None chosen`}</option>}
            {models.map((model) => (
              <option key={model.id} value={model.id}>
                {`${model.name} · ${model.provider}`}
              </option>
            ))}
          </Select>
        ) : (
          <Skeleton className="h-10" />
        )}
      </CardBody>
    </Card>
  );
}
